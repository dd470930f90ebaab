import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isTls } from "../tls-connection.ts";
import { allowedRedirect, allowedSource } from "./allowed-source.ts";
import { checkedLookup, type Resolve, systemResolve } from "./checked-lookup.ts";
import { type PinnedInit, pinnedFetch } from "./pinned-fetch.ts";
import type { Source } from "./sources.ts";

export interface SourceFetch {
  /**
   * `fetch` of what the sources allow, with `redirect: "manual"`: an answer that leads elsewhere is handed on if it may be
   * followed. Whoever does not read an answer to its end cancels its body, or aborts.
   *
   * @throws SourceError, in words, before anything is connected to; else as `fetch`
   */
  fetch(url: string | URL | Request, init: PinnedInit): Promise<Response>;
  /** Ends all its connections, also those in use. */
  close(): void;
}

export interface SourceFetchOptions {
  /** Default: the system's. */
  resolve?: Resolve;
  /** Certificates of authorities, in PEM, in place of those that Node trusts. */
  ca?: string;
}

/** Milliseconds for which a connection is kept for the next request. */
const IDLE_TIME = 15_000;

/** A `fetch` that asks for nothing that the sources do not allow. No proxy of the environment is used. */
export function sourceFetch(
  sources: readonly Source[],
  { resolve = systemResolve, ca }: SourceFetchOptions = {},
): SourceFetch {
  // Of its own: that of the process may be set to use a proxy.
  const options = { keepAlive: true, timeout: IDLE_TIME };
  const plain = new HttpAgent(options);
  const secure = new HttpsAgent(options);
  return {
    async fetch(input, init) {
      if (init.redirect !== "manual") throw new TypeError("redirects are not followed here");
      const allowed = allowedSource(input instanceof Request ? input.url : String(input), sources);
      const { url } = allowed;
      const agent = isTls(url.protocol) ? secure : plain;
      const response = await pinnedFetch(url, init, { agent, ca, lookup: checkedLookup(allowed, resolve) });
      const location = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && location !== null) {
        try {
          allowedRedirect(url, location, sources);
        } catch (error) {
          await response.body?.cancel();
          throw error;
        }
      }
      return response;
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

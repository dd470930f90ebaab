import { lookup } from "node:dns";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { type PinnedInit, pinnedFetch } from "../../src/node/pull/pinned-fetch.ts";
import { isTls } from "../../src/node/tls-connection.ts";

/** Milliseconds for which a connection is kept for the next request: less than servers keep it. */
const IDLE_TIME = 15_000;

/**
 * A `fetch` that believes the authorities of these certificates, in PEM, in place of those that Node knows; `fetch` of Node
 * cannot be told. It follows no redirects.
 */
export function trustingFetch(ca: string): { fetch: typeof globalThis.fetch; close(): void } {
  const options = { keepAlive: true, timeout: IDLE_TIME };
  const plain = new HttpAgent(options);
  const secure = new HttpsAgent(options);
  return {
    fetch(input, init) {
      const url = new URL(input instanceof Request ? input.url : input);
      return pinnedFetch(url, init as PinnedInit, {
        agent: isTls(url.protocol) ? secure : plain,
        lookup,
        ca,
      });
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

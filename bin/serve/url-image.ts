import { fast } from "../../src/export/filters/fast.ts";
import { HttpError, type HttpFault } from "../../src/export/http/http-error.ts";
import { httpExport } from "../../src/export/http.ts";
import type { RequestWindow } from "../../src/export/request-window.ts";
import type { Image } from "./image.ts";
import type { ImageAccess } from "./image-access.ts";
import { trustingFetch } from "./trusting-fetch.ts";

/** How many parts are asked for at a time; each costs a connection and a round trip. */
const PARTS = 16;

/** A part is as long as what a gateway asks for: a longer one would hold up the one that is needed now. */
const WINDOW: RequestWindow = { request: 1 << 18, outstanding: PARTS << 18 };

/** What else can be done about a fault, in the options of nbd-serve. */
const remedies: Partial<Record<HttpFault, string>> = {
  certificate: ", or use --image-ca FILE",
  unauthorized: ": --user NAME, or --header",
};

/**
 * Opens a file on a web server, which is read ahead and kept as over any link.
 * @param note takes a line for people
 * @throws HttpError in words, without secrets
 */
export async function openUrlImage(
  { url, headers, ca }: ImageAccess,
  { note, signal }: { note(line: string): void; signal: AbortSignal },
): Promise<Image> {
  const trusting = ca === undefined ? undefined : trustingFetch(ca);
  const medium = await httpExport(url, {
    headers,
    concurrency: PARTS,
    onnote: note,
    signal,
    ...(trusting && { fetch: trusting.fetch }),
  }).catch((error: unknown) => {
    trusting?.close();
    throw withRemedy(error);
  });
  const target = fast({ window: WINDOW })(medium);
  return {
    name: nameOf(url),
    target,
    medium,
    resuming: async () => ({
      target,
      identity: () => medium.identity(),
      begin: async () => {},
      end: async () => {},
    }),
    async close() {
      await target.close();
      trusting?.close();
    },
  };
}

function withRemedy(error: unknown): unknown {
  const remedy = error instanceof HttpError ? remedies[error.code] : undefined;
  if (remedy === undefined) return error;
  const { code, message } = error as HttpError;
  return new HttpError(code, message + remedy, { cause: error });
}

/** The last part of a URL's path; where there is none, the host. */
function nameOf(url: URL): string {
  const last = url.pathname.split("/").at(-1) || url.host;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

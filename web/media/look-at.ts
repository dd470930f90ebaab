import type { HttpError, HttpFault } from "../../src/export/http/http-error.ts";
import { messageOf } from "../../src/streams/message-of.ts";

/**
 * Asks a web server for an image.
 * @returns its bytes
 * @throws HttpError
 */
export type LookAt = (url: string, signal: AbortSignal) => Promise<number>;

export const lookAt: LookAt = async (url, signal) => {
  // Those who serve files do without.
  const { httpExport } = await import("../../src/export/http.ts");
  const file = await httpExport(url, { signal });
  await file.close();
  return file.size;
};

/** Why an image at an address cannot be had. */
export interface UrlFault {
  /** For people, in English, without secrets. */
  readonly fault: string;
  /** Undefined: what looks at addresses could not be loaded. */
  readonly code: HttpFault | undefined;
  readonly mayPass: boolean;
}

export function urlFaultOf(error: unknown): UrlFault {
  // Its class is another one here than in the script that was loaded.
  const { name, code, mayPass = true } = error as Partial<HttpError>;
  return { fault: messageOf(error), code: name === "HttpError" ? code : undefined, mayPass };
}

import { oneLine } from "../../src/nbd/one-line.ts";

/** Milliseconds that an answer may take. */
export const PATIENCE = 5000;

/** Characters of the other side's words that are shown. */
const WORDS = 300;

/** The refusal of a request for people: the status and, if there are any, its words. */
export async function answerOf(response: Response): Promise<string> {
  if (response.type === "opaqueredirect") return "a plain request is redirected, perhaps to a login page";
  const said = await wordsOf(response).catch(() => "");
  return said ? `${statusOf(response)}: ${said}` : statusOf(response);
}

export function statusOf({ status, statusText }: Response): string {
  return `${status} ${statusText}`.trim();
}

export function noAnswer(url: string): string {
  return `there is no answer from ${new URL(url).host}`;
}

/** Whether the gateway wants a login first. A proxy's 401 asks for another one, which the browser itself deals with. */
export function wantsLogin({ status, headers }: Response): boolean {
  return status === 401 && /^Bearer\b/i.test(headers.get("WWW-Authenticate") ?? "");
}

/** The words of a refusal, as text or as the `error` of a login's answer; none if it is an HTML page, as from a reverse proxy. */
async function wordsOf(response: Response): Promise<string> {
  const [type] = (response.headers.get("Content-Type") ?? "").split(";");
  if (type !== "text/plain" && type !== "application/json") return "";
  const text = await response.text();
  return oneLine(type === "text/plain" ? text : String(JSON.parse(text).error)).slice(0, WORDS);
}

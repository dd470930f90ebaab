import { oneLine } from "../src/nbd/one-line.ts";

/** Milliseconds that the answer may take. */
const PATIENCE = 5000;

/** Characters of the other side's words that are shown. */
const WORDS = 300;

/** The gateway's answer to a plain request for the path of a WebSocket. */
const UPGRADE_REQUIRED = 426;
const HINT = "a proxy in between must pass on Upgrade, Connection and Host";

/**
 * Says why a WebSocket could not be opened. Browsers do not tell a page, so a plain request to the same path finds out.
 *
 * @param endpoint a ws:// or wss:// URL
 */
export async function whyRefused(endpoint: string): Promise<string> {
  const url = endpoint.replace(/^ws/, "http");
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(url, { cache: "no-store", redirect: "manual", signal });
    if (response.type === "opaqueredirect") return "a plain request is redirected, perhaps to a login page";
    const answer = `${response.status} ${response.statusText}`.trim();
    if (response.status === UPGRADE_REQUIRED || response.ok) {
      return `a plain request is answered (${answer}), a WebSocket is not: ${HINT}`;
    }
    const said = await wordsOf(response);
    return said ? `${answer}: ${said}` : answer;
  } catch {
    return `there is no answer from ${new URL(url).host}`;
  }
}

/** The words of a refusal; none if it is an HTML page, as from a reverse proxy. */
async function wordsOf(response: Response): Promise<string> {
  if (!response.headers.get("Content-Type")?.startsWith("text/plain")) return "";
  return oneLine(await response.text()).slice(0, WORDS);
}

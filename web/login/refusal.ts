import { answerOf, noAnswer, PATIENCE, statusOf, wantsLogin } from "./answer.ts";

/** The gateway's answer to a plain request for the path of a WebSocket. */
const UPGRADE_REQUIRED = 426;
const HINT = "a proxy in between must pass on Upgrade, Connection and Host";

export interface Refusal {
  /** Why, in words for people. */
  words: string;
  /** Whether the gateway wants a login first. */
  wantsLogin: boolean;
  /** Whether anything answers there. */
  isAnswered: boolean;
}

/**
 * Says why a WebSocket could not be opened. Browsers do not tell a page, so a plain request to the same path finds out.
 *
 * @param endpoint a ws:// or wss:// URL
 * @param headers what the request needs to be let in
 */
export async function whyRefused(endpoint: string, headers: Record<string, string>): Promise<Refusal> {
  const url = endpoint.replace(/^ws/, "http");
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(url, { headers, cache: "no-store", redirect: "manual", signal });
    const isPath = response.status === UPGRADE_REQUIRED || response.ok;
    const words = isPath
      ? `a plain request is answered (${statusOf(response)}), a WebSocket is not: ${HINT}`
      : await answerOf(response);
    return { words, wantsLogin: wantsLogin(response), isAnswered: true };
  } catch {
    return { words: noAnswer(url), wantsLogin: false, isAnswered: false };
  }
}

import { answerOf, noAnswer, PATIENCE, wantsLogin } from "../login/answer.ts";

/** How an eject has ended: in order, or with why not, in words. */
export type Ejected =
  | { readonly isDone: true }
  | { readonly isDone: false; readonly why: string; readonly wantsLogin: boolean };

/** Milliseconds that the end of a session may take: its disk is taken away in order. */
const ENDING = 60_000 + PATIENCE;

/** Has the gateway end the session of a configuration, whoever serves it. One that has ended meanwhile is none to end. */
export async function eject(base: string, name: string, headers: Record<string, string>): Promise<Ejected> {
  const url = new URL(`eject/${encodeURIComponent(name)}`, base);
  try {
    const signal = AbortSignal.timeout(ENDING);
    const request: RequestInit = { method: "POST", headers, cache: "no-store", redirect: "manual", signal };
    const response = await fetch(url, request);
    if (response.ok || response.status === 404) return { isDone: true };
    return { isDone: false, why: await answerOf(response), wantsLogin: wantsLogin(response) };
  } catch {
    return { isDone: false, why: noAnswer(url.href), wantsLogin: false };
  }
}

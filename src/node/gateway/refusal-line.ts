import { quoted } from "../../streams/quoted.ts";
import { withoutCredentials } from "../login/credentials.ts";
import type { Refusal, Visit } from "./admission.ts";

/** The line of the log about a request that was refused. No credential is in it. */
export function refusalLine(
  visit: Pick<Visit, "method" | "url" | "headers">,
  { status, words, advice = words }: Refusal,
): string {
  const { method = "", url = "", headers } = visit;
  const from = headers.origin === undefined ? "no Origin" : `Origin ${quoted(headers.origin)}`;
  const to = headers.host === undefined ? "no Host" : `Host ${quoted(headers.host)}`;
  return `refused ${quoted(`${method} ${withoutCredentials(url)}`)} with ${status}: ${advice} (${to}, ${from})`;
}

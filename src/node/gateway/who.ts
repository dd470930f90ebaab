import type { Access } from "../login/access.ts";
import { type Credential, credentialOf } from "../login/credentials.ts";
import type { Refusal, Visit } from "./admission.ts";

const BEARER = { "WWW-Authenticate": "Bearer" };

/** The credential of a request. Over plain HTTP a cookie is none: every port of the host gets it. */
export function credentialIn(visit: Visit, isUpgrade: boolean, access: Access): Credential | undefined {
  return credentialOf(visit.headers, isUpgrade, visit.isSecure ? access.cookieName : undefined);
}

/** Says why a visitor is not let in; undefined for those who have the token or a login. */
export function whoMayEnter(visit: Visit, isUpgrade: boolean, access: Access): Refusal | undefined {
  const credential = credentialIn(visit, isUpgrade, access);
  if (!credential) {
    const words =
      "a login is needed: open the URL with #TOKEN that nbd-gateway printed, or send Authorization: Bearer TOKEN";
    return { status: 401, words, headers: BEARER };
  }
  if (credential.by === "cookie" && !isOwnPage(visit, isUpgrade)) {
    return { status: 403, words: "the cookie counts only for what this gateway's own page asks for" };
  }
  const verdict = access.judge(credential.secret, visit.address);
  if (verdict === "right") return undefined;
  if (verdict !== "wrong") return tooManyAttempts(verdict.retryAfter);
  const words = credential.secret.startsWith("s.")
    ? "the login has ended: log in again"
    : "the token is not the one of this gateway";
  return { status: 401, words, headers: BEARER };
}

export function tooManyAttempts(seconds: number): Refusal {
  const words = `too many wrong tokens came from this address: try again in ${seconds} s`;
  return { status: 429, words, headers: { "Retry-After": String(seconds) } };
}

/** Whether a request says that it comes from a page of this gateway. Browsers send a cookie whatever page asks. */
function isOwnPage({ headers, method, host }: Visit, isUpgrade: boolean): boolean {
  if (!isUpgrade && method !== "POST") return headers["sec-fetch-site"] === "same-origin";
  const own = `https://${host}`;
  return headers.origin !== undefined && URL.canParse(own) && headers.origin === new URL(own).origin;
}

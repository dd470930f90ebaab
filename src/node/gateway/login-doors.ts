import type { IncomingMessage, ServerResponse } from "node:http";
import * as v from "valibot";
import type { Access, LoginAnswer } from "../login/access.ts";
import { isNonce } from "../login/proof.ts";
import type { Refusal, Visit } from "./admission.ts";
import { send } from "./answers.ts";
import { bodyOf, fromJson, JSON_TYPE } from "./json-body.ts";
import { refusalLine } from "./refusal-line.ts";
import { credentialIn, tooManyAttempts } from "./who.ts";

const nonce = v.custom<string>(isNonce);

/** What can be sent to log in. */
const loginRequest = v.union([
  v.strictObject({ token: v.pipe(v.string(), v.maxLength(512)) }),
  v.strictObject({ role: v.literal("nbd-serve"), nonce }),
  v.strictObject({ role: v.literal("nbd-serve"), nonce, gatewayNonce: nonce, proof: nonce }),
]);

const NOT_UNDERSTOOD: Refusal = { status: 400, words: "the body is not what a login begins with" };
const WRONG: Refusal = {
  status: 401,
  words: "the token is not the one of this gateway",
  headers: { "WWW-Authenticate": "Bearer" },
};
const LATE: Refusal = {
  status: 401,
  words: "the proof came too late, or too many logins began at the same time; try again",
  headers: { "WWW-Authenticate": "Bearer" },
};
const ELSEWHERE: Refusal = {
  status: 403,
  words: "the URL has another host or port than this gateway: use the one that nbd-gateway printed",
};
const NO_LOGIN: Refusal = { status: 404, words: "this gateway has no login" };

/** Answers POST /login: a login is made, or a refusal has words in JSON. */
export async function answerLogin(
  request: IncomingMessage,
  response: ServerResponse,
  visit: Visit,
  access: Access | undefined,
  log: (line: string) => void,
): Promise<void> {
  const bytes = await bodyOf(request);
  if (!bytes) return; // nobody waits for an answer any more
  const refuse = (refusal: Refusal) => {
    log(refusalLine(visit, refusal));
    const { status, words, headers } = refusal;
    send(response, status, JSON.stringify({ error: words }), { ...headers, ...JSON_TYPE });
  };
  if (!access) return refuse(NO_LOGIN);
  const parsed = v.safeParse(loginRequest, fromJson(bytes));
  if (!parsed.success) return refuse(NOT_UNDERSTOOD);
  const authority = (visit.host ?? "").toLowerCase();
  // Without TLS a program at another address could pass everything on to here, and have the login.
  if ("role" in parsed.output && visit.own !== undefined && visit.own !== authority) return refuse(ELSEWHERE);
  const answer: LoginAnswer = access.logIn(parsed.output, { address: visit.address, authority });
  if (answer === "wrong") return refuse(WRONG);
  if (answer === "late") return refuse(LATE);
  if ("retryAfter" in answer) return refuse(tooManyAttempts(answer.retryAfter));
  // The programs keep no cookies.
  if ("session" in answer && "token" in parsed.output && visit.isSecure) {
    const cookie = `${access.cookieName}=${answer.session}; Path=/; Secure; HttpOnly; SameSite=Strict`;
    return send(response, 204, "", { "Set-Cookie": cookie });
  }
  send(response, 200, JSON.stringify(answer), JSON_TYPE);
}

/** Answers POST /logout, which has a login's credential: that login ends. */
export async function answerLogout(
  request: IncomingMessage,
  response: ServerResponse,
  visit: Visit,
  access: Access | undefined,
): Promise<void> {
  if (!(await bodyOf(request))) return;
  const credential = access && credentialIn(visit, false, access);
  if (credential) access.logOut(credential.secret);
  const cookie = access && `${access.cookieName}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`;
  send(response, 204, "", cookie !== undefined && visit.isSecure ? { "Set-Cookie": cookie } : {});
}

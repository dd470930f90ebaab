import type { IncomingMessage } from "node:http";
import { checkType } from "../../streams/check.ts";
import { deadline } from "../../streams/deadline.ts";
import { shownUrl } from "../../transport/shown-url.ts";
import { WebSocketError } from "../../transport/websocket.ts";
import { AnswerError, connectError, refusal } from "../connect-error.ts";
import { isLoopbackUrl } from "../loopback.ts";
import { checkTrust, type Trust } from "../tls-connection.ts";
import { gatewayUrl, isToken, webSocketUrlOf } from "./gateway-url.ts";
import { bodyOf, post } from "./post.ts";
import { clientProof, gatewayProof, isEqual, isNonce, newNonce } from "./proof.ts";

/** Milliseconds that a gateway is given for the login, and for the logout. */
const LOGIN_TIME = 30_000;
const LOGOUT_TIME = 500;

export interface LogInOptions extends Omit<Trust, "insecure"> {
  /** The token. Default: the one in the URL's fragment. */
  token?: string;
  /** Gives up. */
  signal?: AbortSignal;
}

/** A login at a gateway, which the gateway forgets 12 h after its last use. */
export interface Login {
  /** The URL of the WebSocket: `connect(endpoint, { token: session })`. */
  readonly endpoint: string;
  /** What shows the gateway who comes, in place of the token. */
  readonly session: string;
  /** Ends the login, if the gateway answers within half a second; never fails. */
  logOut(): Promise<void>;
}

/**
 * Logs in at a gateway. The gateway has to prove first that it knows the token, and then this side does. The token itself is
 * never sent. The doors for that are beside the configuration: "https://host/vm/local" has "https://host/vm/login".
 *
 *     const { endpoint, session, logOut } = await logIn("http://127.0.0.1:8000/#TOKEN");
 *     const transport = connect(endpoint, { token: session });
 *
 * @param url as nbd-gateway prints it, or with the name of a configuration as its path. http is for loopback only: on the way
 *   others could read the session
 * @throws TypeError when an argument is not what it should be
 * @throws WebSocketError in words, with the URL and without a secret, when there is no login; or the reason of `signal`
 */
export async function logIn(url: string, options: LogInOptions = {}): Promise<Login> {
  checkType(url, "the URL of a gateway", "string");
  const { url: page, token: inUrl } = gatewayUrl(url);
  const { token = inUrl, signal, ...trust } = options;
  // A name may have several addresses, of which another program holds one.
  if (page.protocol === "http:" && page.hostname === "localhost") page.hostname = "127.0.0.1";
  const shown = shownUrl(page);
  checkTrust(trust, page.protocol);
  if (token === undefined) throw new TypeError(`${shown}: a token is needed to log in`);
  if (!isToken(token))
    throw new TypeError(`${shown}: what was given is not a token, of at least 43 characters`);
  if (page.protocol === "http:" && !isLoopbackUrl(page)) {
    throw new TypeError(
      `${shown}: others on the way could read what is sent; use https://, or a tunnel of ssh`,
    );
  }
  const ending = new AbortController();
  const giveUp = () => ending.abort(signal!.reason);
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  const callOff = deadline(LOGIN_TIME, () => ending.abort(new WebSocketError("the server did not answer")));
  try {
    const session = await dialogue(page, token, trust, ending.signal);
    return {
      endpoint: webSocketUrlOf(page),
      session,
      // Without TLS, another program may have the port by then. The login ends with its WebSocket anyway.
      logOut: async () => {
        if (page.protocol === "https:") await logOut(new URL("logout", page), session, trust);
      },
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof UnprovenError) {
      throw new WebSocketError(`${shown} does not know the token: another program may hold the port`);
    }
    const thrown = ending.signal.aborted ? ending.signal.reason : error;
    const fault = connectError(thrown, page.protocol);
    const words = `logging in at ${shown}: ${fault.message}`;
    const { cause } = fault;
    throw fault instanceof AnswerError
      ? new AnswerError(words, { cause, status: fault.status })
      : new WebSocketError(words, { cause });
  } finally {
    callOff();
    signal?.removeEventListener("abort", giveUp);
  }
}

/** The other side has not proved that it knows the token. */
class UnprovenError extends Error {}

const ROLE = { role: "nbd-serve" };

/** Both sides prove that they know the token. */
async function dialogue(page: URL, token: string, trust: Trust, signal: AbortSignal): Promise<string> {
  const door = new URL("login", page);
  const ask = async (what: object) => post(door, { ...ROLE, ...what }, trust, signal);
  const nonce = newNonce();
  const first = await ask({ nonce });
  if (first.statusCode! >= 300) throw await fault(first, page);
  const { nonce: gatewayNonce, proof } = await bodyOf(first);
  if (!isNonce(gatewayNonce) || !isNonce(proof)) throw new UnprovenError();
  const subject = { authority: page.host, nonce, gatewayNonce };
  if (!isEqual(proof, gatewayProof(token, subject))) throw new UnprovenError();

  const second = await ask({ nonce, gatewayNonce, proof: clientProof(token, subject) });
  if (second.statusCode! >= 300) throw await fault(second, page);
  const { session } = await bodyOf(second);
  if (typeof session !== "string" || !/^s\.[\w-]{43}$/.test(session)) {
    throw new WebSocketError("the server's answer is not a login");
  }
  return session;
}

/** What the status of an answer says. */
async function fault(response: IncomingMessage, page: URL): Promise<Error> {
  const { statusCode = 0, headers } = response;
  if (statusCode === 404 || statusCode === 405) {
    response.destroy();
    const endpoint = shownUrl(webSocketUrlOf(page));
    const words = `there is no login (${statusCode}); if that is meant, as with nbd-gateway --no-auth, use ${endpoint}`;
    return new AnswerError(words, { status: statusCode });
  }
  const said = await refusal(response);
  const seconds = headers["retry-after"];
  if (statusCode !== 429 || !/^\d{1,5}$/.test(seconds ?? "")) return said;
  return new AnswerError(`${said.message}; try again in ${seconds} s`, { status: statusCode });
}

async function logOut(door: URL, session: string, trust: Trust): Promise<void> {
  const ending = new AbortController();
  const callOff = deadline(LOGOUT_TIME, () => ending.abort(new Error("the time to log out is over")));
  try {
    (await post(door, {}, trust, ending.signal, session)).destroy();
  } catch {
    // The gateway ends the login itself, later.
  } finally {
    callOff();
  }
}

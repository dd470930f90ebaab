import { createHash } from "node:crypto";
import { checkObject, checkType } from "../../streams/check.ts";
import { messageOf } from "../../streams/message-of.ts";
import type { Log } from "../log/log.ts";
import { Attempts, neighbourhood } from "./attempts.ts";
import { LoginSessions } from "./login-sessions.ts";
import { stateOf } from "./private-file.ts";
import { clientProof, gatewayProof, isEqual, isNonce, newNonce } from "./proof.ts";
import { readOrMakeToken, readToken } from "./token-file.ts";

/** What is made of a credential: it is right, it is not, or too many from this address were not lately. */
export type Verdict = "right" | "wrong" | { retryAfter: number };

/** What a peer says to log in: the token, or to prove that it has the token, in two steps. */
export type LoginRequest =
  | { token: string }
  | { role: "nbd-serve"; nonce: string }
  | { role: "nbd-serve"; nonce: string; gatewayNonce: string; proof: string };

/** Where a peer is, and the host that it asks for. */
export interface LoginPeer {
  address: string;
  /** As the Host header has it, in lower case. */
  authority: string;
}

/** What is answered to a peer that logs in: a new login, the gateway's own proof, that the proof came too late, or no. */
export type LoginAnswer =
  | { session: string }
  | { nonce: string; proof: string }
  | "late"
  | Exclude<Verdict, "right">;

/** Decides who gets in, and keeps the logins. */
export interface Access {
  /** Of the cookie that has a login's id, over TLS: each token file has a name of its own, as cookies ignore ports. */
  readonly cookieName: string;
  /** Judges a token, or the id of a login, which this is a use of. */
  judge(credential: string, address: string): Verdict;
  /** Keeps the login that a credential belongs to from ending, until the function is called that this returns. */
  hold(credential: string): () => void;
  logIn(request: LoginRequest, peer: LoginPeer): LoginAnswer;
  logOut(credential: string): void;
  /** Writes down what is not written yet. */
  close(): void;
}

export interface TokenAccessOptions {
  /** The file with the token, which is made where it is missing; `defaultTokenFile()` is the one of the programs. */
  tokenFile: string;
  /** Takes a line for people; must not throw. */
  log: Log;
  /** Milliseconds of a clock that never goes back, and milliseconds since 1970. */
  now?: () => number;
  wallClock?: () => number;
}

/** Milliseconds that a peer has to answer a proof with its own, and how many may be waited for. */
const PROOF_TIME = 10_000;
const PROOFS = 32;

/**
 * Lets in those who have the token of a file. Logins are kept in a file beside it; gateways with the same token file share
 * them. A token that is replaced while this runs, as by `nbd-gateway --new-token`, counts at once, and ends all logins. While
 * the file is missing or not private, nobody is let in.
 *
 * @throws Error in words when the file is not private or cannot be made
 */
export function tokenAccess(options: TokenAccessOptions): Access {
  checkObject(options, "the options");
  checkType(options.tokenFile, "tokenFile", "string");
  checkType(options.log, "log", "function");
  return new TokenAccess(options);
}

class TokenAccess implements Access {
  readonly #options: TokenAccessOptions;
  readonly #now: () => number;
  readonly #attempts: Attempts;
  /** By our nonce. */
  readonly #proofs = new Map<string, { nonce: string; authority: string; from: string; since: number }>();
  #token: string | undefined;
  #state: string;
  #sessions: LoginSessions;
  /** The token of the sessions, which outlives a time without one. */
  #sessionsToken: string;

  constructor(options: TokenAccessOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#attempts = new Attempts(this.#now);
    this.#sessionsToken = readOrMakeToken(options.tokenFile);
    this.#token = this.#sessionsToken;
    this.#state = stateOf(this.#options.tokenFile);
    this.#sessions = this.#sessionsOf(this.#token);
  }

  get cookieName(): string {
    const hash = createHash("sha256");
    hash.update(`nbd-proxy gateway name\n${this.#options.tokenFile}\n${this.#current() ?? ""}`);
    return `__Host-nbd-proxy-${hash.digest("hex").slice(0, 8)}`;
  }

  judge(credential: string, address: string): Verdict {
    if (isSession(credential)) return this.#current() && this.#sessions.use(credential) ? "right" : "wrong";
    return this.#isToken(credential) ? "right" : this.#fail(address);
  }

  hold(credential: string): () => void {
    return isSession(credential) ? this.#sessions.hold(credential) : () => {};
  }

  logIn(request: LoginRequest, { address, authority }: LoginPeer): LoginAnswer {
    if ("token" in request) {
      return this.#isToken(request.token) ? { session: this.#sessions.create() } : this.#fail(address);
    }
    if (!("proof" in request)) return this.#prove(request.nonce, authority, address);
    const { nonce, gatewayNonce, proof } = request;
    const asked = this.#proofs.get(gatewayNonce);
    this.#proofs.delete(gatewayNonce);
    const token = this.#current();
    // Others may have begun too many logins meanwhile, which is not this peer's fault.
    if (!asked || this.#now() - asked.since >= PROOF_TIME) return "late";
    if (!token || asked.nonce !== nonce || asked.authority !== authority) return this.#fail(address);
    const expected = clientProof(token, { authority, nonce, gatewayNonce });
    return isEqual(proof, expected) ? { session: this.#sessions.create(true) } : this.#fail(address);
  }

  logOut(credential: string): void {
    if (isSession(credential)) this.#sessions.end(credential);
  }

  close(): void {
    this.#sessions.close();
  }

  #prove(nonce: string, authority: string, address: string): LoginAnswer {
    const token = this.#current();
    if (!token) return this.#fail(address);
    const gatewayNonce = newNonce();
    const from = neighbourhood(address);
    if (this.#proofs.size >= PROOFS) this.#forgetProof(from);
    this.#proofs.set(gatewayNonce, { nonce, authority, from, since: this.#now() });
    return { nonce: gatewayNonce, proof: gatewayProof(token, { authority, nonce, gatewayNonce }) };
  }

  /** Makes room for a proof: those who begin many logins push out their own. */
  #forgetProof(from: string): void {
    const [oldest] = this.#proofs.keys();
    const own = [...this.#proofs].find(([, proof]) => proof.from === from);
    this.#proofs.delete(own?.[0] ?? oldest!);
  }

  #isToken(text: string): boolean {
    const token = this.#current();
    return token !== undefined && isEqual(text, token);
  }

  #fail(address: string): Exclude<Verdict, "right"> {
    const retryAfter = this.#attempts.fail(address);
    return retryAfter > 0 ? { retryAfter } : "wrong";
  }

  /** The token that counts now; undefined while there is none. */
  #current(): string | undefined {
    const state = stateOf(this.#options.tokenFile);
    if (state === this.#state) return this.#token;
    this.#state = state;
    const { tokenFile, log } = this.#options;
    const before = this.#token;
    try {
      this.#token = readToken(tokenFile);
    } catch (error) {
      this.#token = undefined;
      log(`nobody is let in any more: ${messageOf(error)}`, "error");
      return undefined;
    }
    if (this.#token !== before) log(`the token in ${tokenFile} counts from now on`);
    if (this.#token === this.#sessionsToken) return this.#token;
    this.#sessions.abandon();
    this.#sessionsToken = this.#token;
    this.#sessions = this.#sessionsOf(this.#token);
    this.#proofs.clear();
    return this.#token;
  }

  #sessionsOf(token: string): LoginSessions {
    const { tokenFile, log, wallClock } = this.#options;
    return new LoginSessions({
      file: `${tokenFile}.logins`,
      token,
      log,
      isReplaced: () => (this.#current() ?? token) !== token,
      ...(wallClock && { now: wallClock }),
    });
  }
}

/** Whether a credential is the id of a login, by its form. */
function isSession(credential: string): boolean {
  return credential.startsWith("s.") && isNonce(credential.slice(2));
}

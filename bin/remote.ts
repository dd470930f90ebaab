import { readFile } from "node:fs/promises";
import { LONGEST_MESSAGE } from "../src/nbd/constants.ts";
import { AnswerError } from "../src/node/connect-error.ts";
import type { ConnectOptions } from "../src/node/connect-options.ts";
import { connectSocket, type SocketLink, webSocketUrl } from "../src/node/connect-socket.ts";
import { gatewayUrl } from "../src/node/login/gateway-url.ts";
import { type Login, logIn } from "../src/node/login/log-in.ts";
import { type PrivateFileOptions, readPrivateFile } from "../src/node/login/private-file.ts";
import { defaultTokenFile, readTokenFile, tokenIn } from "../src/node/login/token-file.ts";
import { isLoopbackUrl } from "../src/node/loopback.ts";
import { reasonOf } from "../src/node/system-error.ts";
import { checkTrust, type Trust } from "../src/node/tls-connection.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { IN_USE, TAKEN_OVER } from "../src/transport/close-codes.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { WebSocketError } from "../src/transport/websocket.ts";
import { firstLine } from "./first-line.ts";
import { wholeArgument } from "./whole-argument.ts";

/** The options of a program that connects to a gateway or a relay. */
export const remoteOptions = {
  origin: { type: "string" },
  "take-over": { type: "boolean", default: false },
  "token-file": { type: "string" },
  fingerprint: { type: "string" },
  ca: { type: "string" },
  insecure: { type: "boolean", default: false },
  "max-message": { type: "string" },
} as const;

export interface RemoteValues {
  origin?: string | undefined;
  "take-over": boolean;
  "token-file"?: string | undefined;
  fingerprint?: string | undefined;
  ca?: string | undefined;
  insecure: boolean;
  "max-message"?: string | undefined;
}

/** @throws Error when there are options for another side that there is none of */
export function refuseRemoteOptions(values: Partial<RemoteValues>): void {
  for (const name of Object.keys(remoteOptions) as (keyof RemoteValues)[]) {
    if (values[name]) throw new Error(`--${name} is for a URL`);
  }
}

/** Another side that is not connected to yet. */
export interface Remote {
  /**
   * Logs in, where that is needed, and connects. A session that another one has is taken over the first time only.
   * @throws Error in words, with the URL
   */
  connect(signal: AbortSignal): Promise<SocketLink>;
  /** Logs out, for which the other side has half a second; never fails. */
  leave(): Promise<void>;
}

/** What a longest message may have. */
const LENGTHS = { unit: "bytes", least: 64, most: LONGEST_MESSAGE };

/** Bytes of the longest token that is read. */
const LONGEST_TOKEN = 4096;

/**
 * Reads what the arguments say about the other side, and the token, before anything is connected.
 * @param url of a gateway, http(s); or of a relay, ws(s)
 * @throws Error in words
 */
export async function remote(
  url: string,
  values: RemoteValues,
  log: (line: string) => void,
): Promise<Remote> {
  if (!/^(https?|wss?):/i.test(url)) {
    throw new Error(`"${shownUrl(url)}" is not the URL of a gateway (http, https), nor of a relay (ws, wss)`);
  }
  const trust = await readTrust(values);
  const message = values["max-message"];
  const options = {
    ...trust,
    ...(values.origin && { origin: values.origin }),
    ...(values["take-over"] && { takeOver: true }),
    ...(message !== undefined && { maxMessage: wholeArgument(message, "--max-message", LENGTHS) }),
  };
  return /^https?:/i.test(url) ? gatewayAt(url, values, options) : relayAt(url, values, options, log);
}

/** What is needed to log in at a gateway. */
export interface GatewayCredentials {
  readonly url: URL;
  readonly token: string;
  readonly trust: Omit<Trust, "insecure">;
}

/**
 * Finds the token for a gateway.
 * @param text the URL of the gateway
 * @throws Error in words
 */
export async function gatewayCredentials(
  text: string,
  values: Pick<RemoteValues, "token-file">,
  { insecure, fingerprint, ca }: Trust,
  options?: PrivateFileOptions,
): Promise<GatewayCredentials> {
  const { url, token: inUrl } = gatewayUrl(text);
  const trust = { ...(fingerprint !== undefined && { fingerprint }), ...(ca !== undefined && { ca }) };
  if (insecure) {
    throw new Error(
      `${shownUrl(url)}: --insecure does not go together with a token; use --fingerprint, which nbd-gateway prints`,
    );
  }
  checkTrust(trust, url.protocol);
  return { url, trust, token: await tokenFor(url, inUrl, values["token-file"], options) };
}

async function gatewayAt(
  text: string,
  values: RemoteValues,
  { insecure, ...options }: ConnectOptions,
): Promise<Remote> {
  const { url, token, trust } = await gatewayCredentials(text, values, {
    ...options,
    ...(insecure && { insecure }),
  });
  let login: Login | undefined;
  const dial = dialling(options);
  return {
    async connect(signal) {
      // Over http another program may have the port by now, and the login has ended with its WebSocket.
      const before = url.protocol === "https:" ? login : undefined;
      if (before) {
        try {
          return await dial(before.endpoint, before.session, signal);
        } catch (error) {
          if (!(error instanceof AnswerError && error.status === UNAUTHORIZED)) throw error;
        }
      }
      login = await logIn(url.href, { token, ...trust, signal });
      return dial(login.endpoint, login.session, signal);
    },
    leave: async () => login?.logOut(),
  };
}

/** The status of an answer to somebody who is not logged in. */
const UNAUTHORIZED = 401;

/** Connects to one place, again and again. */
function dialling(options: ConnectOptions) {
  let { takeOver = false } = options;
  return async (endpoint: string, token: string | undefined, signal: AbortSignal): Promise<SocketLink> => {
    const credentials = token === undefined ? {} : { token };
    const link = connectSocket(endpoint, {
      ...options,
      takeOver,
      ...credentials,
      remedy: "use --max-message with fewer bytes",
    });
    await opened(link, signal);
    takeOver = false;
    return link;
  };
}

/** Waits until a WebSocket is open. */
async function opened({ socket, transport }: SocketLink, signal: AbortSignal): Promise<void> {
  const giveUp = () => transport.close(signal.reason);
  signal.addEventListener("abort", giveUp);
  if (signal.aborted) giveUp();
  try {
    const ended = transport.closed.then(() => {
      throw new WebSocketError("the connection ended before it was there");
    });
    await Promise.race([new Promise((resolve) => socket.once("open", resolve)), ended]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

async function relayAt(
  url: string,
  values: RemoteValues,
  options: ConnectOptions,
  log: (line: string) => void,
): Promise<Remote> {
  webSocketUrl(url);
  const file = values["token-file"];
  if (options.insecure) {
    if (file !== undefined)
      throw new Error("--insecure does not go together with a token; use --fingerprint");
    const shown = shownUrl(url);
    log(`--insecure: any server that answers at ${shown} is believed, and can read and change everything`);
  }
  const token = file === undefined ? undefined : await readRelayToken(file);
  const dial = dialling(options);
  return { connect: (signal) => dial(url, token, signal), leave: async () => {} };
}

/** @throws Error when the certificates cannot be read */
export async function readTrust({ fingerprint, ca, insecure }: RemoteValues): Promise<Trust> {
  return {
    ...(fingerprint !== undefined && { fingerprint }),
    ...(ca !== undefined && { ca: await readCertificates(ca) }),
    ...(insecure && { insecure }),
  };
}

/** @throws Error in words */
export async function readCertificates(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new Error(`reading ${file}: ${reasonOf(error)}`);
  });
}

/** The token for a gateway: of the URL, of a file that was named, or, for this machine, of the file that a gateway here has. */
async function tokenFor(
  url: URL,
  inUrl: string | undefined,
  file: string | undefined,
  options: PrivateFileOptions = {},
): Promise<string> {
  const shown = shownUrl(url);
  if (inUrl !== undefined) {
    if (file !== undefined) throw new Error(`${shown}: the URL has a token already; leave --token-file out`);
    return inUrl;
  }
  if (file !== undefined) return readToken(file, options);
  if (!isLoopbackUrl(url)) {
    throw new Error(`${shown}: a token is needed: use the URL that nbd-gateway prints, or --token-file FILE`);
  }
  return readToken(
    defaultTokenFile(),
    options,
    "; nbd-gateway makes it when it starts; another one's needs --token-file FILE",
  );
}

/** Reads a gateway's token from a file, or with "-" from standard input. */
async function readToken(file: string, options: PrivateFileOptions, advice = ""): Promise<string> {
  if (file === "-") return fromStandardInput(tokenIn);
  return readTokenFile(file, options).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new Error(`${error.message}${advice}`) : error;
  });
}

/** Reads what a relay takes for a token, which may have another form than a gateway's, likewise. */
async function readRelayToken(file: string): Promise<string> {
  if (file === "-") return fromStandardInput((line) => line.trim());
  try {
    return readPrivateFile(file, LONGEST_TOKEN).toString("latin1").trim();
  } catch (error) {
    throw new Error(`reading the token file ${file}: ${reasonOf(error)}`);
  }
}

async function fromStandardInput(tokenOf: (line: string) => string): Promise<string> {
  try {
    return tokenOf(await firstLine(process.stdin, LONGEST_TOKEN));
  } catch (error) {
    throw new Error(`reading the token from standard input: ${messageOf(error)}`);
  }
}

/**
 * What a session ended with, in words for a person at a terminal.
 * @param takesOver whether it asked to take the configuration over
 */
export function remoteFault(error: unknown, url: string, takesOver: boolean): Error {
  const shown = shownUrl(url);
  const { code, reason = "" } = error instanceof WebSocketError ? error : { code: undefined };
  if (code === TAKEN_OVER && reason !== "") return new Error(`${shown}: ${reason}`);
  const advice = code === IN_USE && !takesOver ? "; --take-over ends that session" : "";
  const words = messageOf(error);
  return new Error(words.includes(shown) ? `${words}${advice}` : `${shown}: ${words}${advice}`);
}

import { dirname, resolve } from "node:path";
import { readConfig } from "../src/node/config/config.ts";
import type { GatewayKeys } from "../src/node/config/gateway-keys.ts";
import { AnswerError } from "../src/node/connect-error.ts";
import { chooseCertificates, type TlsKeys, tlsKeys } from "../src/node/gateway/tls/choose-certificates.ts";
import { keptFingerprint } from "../src/node/gateway/tls/self-signed.ts";
import type { Log } from "../src/node/log/log.ts";
import { logIn } from "../src/node/login/log-in.ts";
import { defaultTokenFile } from "../src/node/login/token-file.ts";
import type { Trust } from "../src/node/tls-connection.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { gatewayCredentials, readTrust } from "./remote.ts";

/** What the command line says of a gateway that is asked for something. */
export interface AskOptions {
  config?: string | undefined;
  "token-file"?: string | undefined;
  fingerprint?: string | undefined;
  ca?: string | undefined;
  "no-auth": boolean;
  /** The flags that are keys of the configuration file too. */
  flags: GatewayKeys;
}

/** A gateway that lets this program in. */
export interface OpenGateway {
  readonly url: URL;
  readonly trust: Omit<Trust, "insecure">;
  /** Ends what takes too long. */
  readonly signal: AbortSignal;
  /** What shows who asks; undefined where nobody has to. */
  readonly session: string | undefined;
}

/**
 * Logs in at a gateway, asks it for something, and logs out.
 * @param url of the gateway; default: that of the configuration file, on this machine
 * @param milliseconds that all of it may take
 * @throws Error in words, when the gateway cannot be reached or does not let this program in; and what `ask` throws
 */
export async function askGateway<T>(
  url: string | undefined,
  options: AskOptions,
  milliseconds: number,
  log: Log,
  ask: (gateway: OpenGateway) => Promise<T>,
): Promise<T> {
  const found = url === undefined ? await gatewayHere(options, log) : { url, options };
  const signal = AbortSignal.timeout(milliseconds);
  if (options["no-auth"]) return ask({ url: new URL(found.url), trust: {}, signal, session: undefined });
  const known = await readTrust({ "take-over": false, insecure: false, ...found.options });
  const {
    url: at,
    token,
    trust,
  } = await gatewayCredentials(found.url, found.options, known, {
    asRoot: true,
  });
  const login = await logIn(at.href, { token, ...trust, signal }).catch((error: unknown) => {
    if (!(error instanceof AnswerError) || error.status !== 404) throw error;
    const advice =
      "where nobody has to log in, add --no-auth; behind a proxy the URL ends in the path of the gateway and a slash";
    throw new Error(`asking ${shownUrl(at)}: there is no login (404); ${advice}`);
  });
  try {
    return await ask({ url: at, trust, signal, session: login.session });
  } finally {
    await login.logOut();
  }
}

/** The gateway that the configuration file and the flags describe. */
async function gatewayHere(options: AskOptions, log: Log) {
  const config = await readConfig(options.config);
  const { host = "127.0.0.1", port = 8000, ...keys } = { ...config.gateway, ...options.flags };
  if (keys["behind-proxy"]?.some((proxy) => proxy.startsWith("unix:"))) {
    throw new Error("the gateway listens on a unix socket: name the URL of the proxy before it");
  }
  const tokenFile = resolve(options["token-file"] ?? config.tokenFile ?? defaultTokenFile());
  const tls = tlsKeys(options.flags, config.gateway);
  const isSecure = tls["tls-self-signed"] || tls["tls-cert"] !== undefined || tls["tls-key"] !== undefined;
  const isKnown = options.fingerprint !== undefined || options.ca !== undefined;
  // An address that stands for all of this machine's is none that can be connected to.
  const reached = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return {
    url: `${isSecure ? "https" : "http"}://${reached.includes(":") ? `[${reached}]` : reached}:${port}/`,
    options: {
      "token-file": tokenFile,
      ca: options.ca,
      fingerprint: isKnown ? options.fingerprint : await fingerprintHere(tls, { host, tokenFile, log }),
    },
  };
}

/** The fingerprint of the certificate that a gateway with these keys has; undefined if they ask for none. */
async function fingerprintHere(
  tls: TlsKeys,
  options: { host: string; tokenFile: string; log: Log },
): Promise<string | undefined> {
  // Who asks makes none, and renews none.
  if (tls["tls-self-signed"] && tls["tls-cert"] === undefined && tls["tls-key"] === undefined)
    return keptFingerprint(dirname(options.tokenFile), { asRoot: true });
  const certificates = await chooseCertificates(tls, options);
  certificates?.close();
  return certificates?.current.fingerprint;
}

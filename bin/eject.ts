import { resolve } from "node:path";
import { readConfig } from "../src/node/config/config.ts";
import type { GatewayKeys } from "../src/node/config/gateway-keys.ts";
import { connectError, refusal } from "../src/node/connect-error.ts";
import { chooseCertificates, tlsKeys } from "../src/node/gateway/tls/choose-certificates.ts";
import { logIn } from "../src/node/login/log-in.ts";
import { post } from "../src/node/login/post.ts";
import { defaultTokenFile } from "../src/node/login/token-file.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { type GatewayCredentials, gatewayCredentials, readTrust } from "./remote.ts";

/** Milliseconds that a gateway has for the orderly end of a session: its state hook alone may take 10 s. */
const EJECT_TIME = 60_000;

/** What the command line says of the gateway that is to eject. */
export interface EjectOptions {
  config?: string | undefined;
  "token-file"?: string | undefined;
  fingerprint?: string | undefined;
  ca?: string | undefined;
  "no-auth": boolean;
  /** The flags that are keys of the configuration file too. */
  flags: GatewayKeys;
}

/**
 * Has a gateway end the session of a configuration in order, and waits for that.
 * @param url of the gateway; default: that of the configuration file, on this machine
 * @throws Error in words, when nothing is attached there, or the gateway refuses
 */
export async function eject(
  name: string,
  url: string | undefined,
  options: EjectOptions,
  log: (line: string) => void,
): Promise<void> {
  const found = url === undefined ? await gatewayHere(options, log) : { url, options };
  if (options["no-auth"]) return ask(name, new URL(found.url), undefined);
  const trust = await readTrust({ "take-over": false, insecure: false, ...found.options });
  const credentials = await gatewayCredentials(found.url, found.options, trust);
  await ask(name, credentials.url, credentials);
}

/** The gateway that the configuration file and the flags describe. */
async function gatewayHere(options: EjectOptions, log: (line: string) => void) {
  const config = await readConfig(options.config);
  const { host = "127.0.0.1", port = 8000, ...keys } = { ...config.gateway, ...options.flags };
  if (keys["behind-proxy"]?.some((proxy) => proxy.startsWith("unix:"))) {
    throw new Error("the gateway listens on a unix socket: name the URL of the proxy before it");
  }
  const tokenFile = resolve(options["token-file"] ?? config.tokenFile ?? defaultTokenFile());
  const tls = await chooseCertificates(tlsKeys(options.flags, config.gateway), { host, tokenFile, log });
  try {
    // An address that stands for all of this machine's is none that can be connected to.
    const reached = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
    return {
      url: `${tls ? "https" : "http"}://${reached.includes(":") ? `[${reached}]` : reached}:${port}/`,
      options: {
        "token-file": tokenFile,
        ca: options.ca,
        fingerprint: options.fingerprint ?? (options.ca === undefined ? tls?.current.fingerprint : undefined),
      },
    };
  } finally {
    tls?.close();
  }
}

async function ask(name: string, at: URL, credentials: GatewayCredentials | undefined): Promise<void> {
  const trust = credentials?.trust ?? {};
  const signal = AbortSignal.timeout(EJECT_TIME);
  const doing = `ejecting "${name}" at ${shownUrl(at)}`;
  const login = credentials && (await logIn(at.href, { token: credentials.token, ...trust, signal }));
  try {
    const door = new URL(`eject/${encodeURIComponent(name)}`, at);
    const response = await post(door, undefined, trust, signal, login?.session).catch((error: Error) => {
      throw new Error(`${doing}: ${connectError(error, at.protocol).message}`);
    });
    if (response.statusCode !== 204) throw new Error(`${doing}: ${(await refusal(response)).message}`);
    response.resume();
  } finally {
    await login?.logOut();
  }
}

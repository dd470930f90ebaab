import { type Gateway, type GatewayOptions, gateway, parseConfig } from "../../src/node/index.ts";
import type { Sandbox } from "../harness.ts";
import { type LoginHere, loginHere } from "./login-here.ts";

/** A gateway in this process, and the lines of its log. */
export interface GatewayHere extends Pick<LoginHere, "token" | "headers"> {
  running: Gateway;
  port: number;
  log: string[];
}

export interface GatewayHereOptions extends Partial<Omit<GatewayOptions, "config">> {
  /** Whether it asks for a login. Default: no. */
  hasLogin?: boolean;
  /** For the top of config.json. */
  keys?: object;
}

/** Starts one, by default without a page. Whatever machine this is, no state hook runs unless a configuration has one. */
export async function gatewayHere(
  sandbox: Sandbox,
  configurations: object,
  { hasLogin = false, keys = {}, ...options }: GatewayHereOptions = {},
): Promise<GatewayHere> {
  const log: string[] = [];
  const config = parseConfig(
    sandbox.path("config.json"),
    JSON.stringify({ "state-hook": "/nowhere", ...keys, configurations }),
  );
  const note = (line: string) => void log.push(line);
  const login = loginHere({ hasLogin }, note);
  const started = gateway({
    config,
    port: 0,
    staticFolder: sandbox.folder,
    log: note,
    ...login.options,
    ...options,
  });
  const running = await started.catch((error: unknown) => {
    login.end();
    throw error;
  });
  const close = () => running.close().finally(() => login.end());
  return {
    running: { ...running, close },
    port: Number(new URL(running.url).port),
    log,
    headers: login.headers,
    ...(login.token !== undefined && { token: login.token }),
  };
}

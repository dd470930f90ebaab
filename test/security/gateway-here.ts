import { type Gateway, gateway, parseConfig } from "../../src/node/index.ts";
import type { Sandbox } from "../harness.ts";

/** A gateway in this process, and the lines of its log. */
export interface GatewayHere {
  running: Gateway;
  log: string[];
}

/** Starts one, without a page; `keys` are for the top of config.json. Whatever machine this is, no state hook runs unless a configuration has one. */
export async function gatewayHere(
  sandbox: Sandbox,
  configurations: object,
  keys: object = {},
): Promise<GatewayHere> {
  const log: string[] = [];
  const config = parseConfig(
    sandbox.path("config.json"),
    JSON.stringify({ "state-hook": "/nowhere", ...keys, configurations }),
  );
  const staticFolder = sandbox.folder;
  const running = await gateway({ config, port: 0, staticFolder, log: (line) => void log.push(line) });
  return { running, log };
}

import { program, type Running, type Sandbox } from "../../harness.ts";
import { type Attached, attached, attachedAt, type Entry, startGateway } from "../link.ts";
import { UnreliableRelay } from "./unreliable-relay.ts";

export interface ThroughRelay extends Attached {
  gateway: Running & { url: string };
  relay: UnreliableRelay;
  server: Running;
  /** Starts nbd-serve again, in place of one that has ended. */
  serve(): Running;
}

/** FILE ▸ nbd-serve ▸ a relay that is cut or silenced ▸ nbd-gateway, once the export is attached. The sandbox ends the relay too. */
export async function throughRelay(
  sandbox: Sandbox,
  file: string,
  { writable = false, keys = {} }: { writable?: boolean; keys?: Entry } = {},
): Promise<ThroughRelay> {
  const gateway = await startGateway(sandbox, keys);
  const relay = await UnreliableRelay.start(Number(new URL(gateway.url).port));
  sandbox.onEnd(() => relay.close());
  const options = writable ? ["--writable"] : [];
  const serve = () =>
    sandbox.start(program("nbd-serve"), [...options, file, `ws://127.0.0.1:${relay.port}/local`]);
  const server = serve();
  await attached(gateway);
  return { gateway, relay, server, serve, ...attachedAt(sandbox) };
}

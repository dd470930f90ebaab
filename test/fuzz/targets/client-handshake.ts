import { inquireExport, listExports } from "../../../src/nbd/client/inquiry.ts";
import { Command } from "../../../src/nbd/constants.ts";
import type { Transport } from "../../../src/streams/duplex.ts";
import { askServer, talkTo } from "../../nbd/hostile.ts";
import { readInput, type Variant } from "../input.ts";

type Ask = (chunks: Uint8Array[]) => Promise<unknown>;

const inquiring =
  (inquire: (transport: Transport) => Promise<unknown>): Ask =>
  (chunks) =>
    talkTo(chunks, (transport) => inquire(transport).then(() => undefined));

/** What a client does that says hello: it looks, reads a little, or only inquires. */
const clients: Readonly<Record<Variant, Ask>> = {
  0: (chunks) => askServer(chunks, []),
  1: (chunks) => askServer(chunks, [{ type: Command.READ, offset: 0, length: 16 }]),
  2: inquiring((transport) => listExports(transport)),
  3: inquiring((transport) => inquireExport(transport)),
};

/** Everything that a server says, from its greeting on. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  await clients[variant](chunks);
}

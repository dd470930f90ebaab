import { beginHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { inquireExport, listExports } from "../../../src/nbd/client/inquiry.ts";
import { Command } from "../../../src/nbd/constants.ts";
import type { Transport } from "../../../src/streams/duplex.ts";
import { askServer, talkTo, useRemote } from "../../nbd/hostile.ts";
import { readInput, type Variant } from "../input.ts";

type Ask = (chunks: Uint8Array[]) => Promise<unknown>;

const inquiring =
  (inquire: (transport: Transport) => Promise<unknown>): Ask =>
  (chunks) =>
    talkTo(chunks, (transport) => inquire(transport).then(() => undefined));

const WORD = "AAECAwQFBgcICQoLDA0ODw";

/** A gateway: it introduces itself first, and has the server keep a key. */
async function introduced(transport: Transport) {
  const begun = await beginHandshake(transport, { introduce: { nonce: WORD, wait: 300 } });
  begun.provesKey(WORD);
  return useRemote(await begun.finish({ key: WORD }), []);
}

/** What a client does that says hello: it introduces itself and looks, reads a little, or only inquires. */
const clients: Readonly<Record<Variant, Ask>> = {
  0: (chunks) => talkTo(chunks, introduced),
  1: (chunks) => askServer(chunks, [{ type: Command.READ, offset: 0, length: 16 }]),
  2: inquiring((transport) => listExports(transport)),
  3: inquiring((transport) => inquireExport(transport)),
};

/** Everything that a server says, from its greeting on. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  await clients[variant](chunks);
}

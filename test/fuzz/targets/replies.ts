import { remoteExport } from "../../../src/nbd/client/remote-export.ts";
import { Command, CommandFlag, TransmissionFlag } from "../../../src/nbd/constants.ts";
import type { ExportInformation } from "../../../src/nbd/option/go.ts";
import { type Operation, talkTo, useRemote } from "../../nbd/hostile.ts";
import { readInput, type Variant } from "../input.ts";

/** What the client asks for; every command once more than a server needs to answer twice. */
export const script: readonly Operation[] = [
  { type: Command.READ, offset: 0, length: 16 },
  { type: Command.WRITE, offset: 16, length: 16, flags: CommandFlag.FUA },
  { type: Command.BLOCK_STATUS, offset: 0, length: 4096 },
  { type: Command.TRIM, offset: 0, length: 512 },
  { type: Command.WRITE_ZEROES, offset: 0, length: 512 },
  { type: Command.CACHE, offset: 0, length: 512 },
  { type: Command.FLUSH, offset: 0, length: 0 },
  { type: Command.READ, offset: 512, length: 512 },
  { type: Command.READ, offset: 1024, length: 1 },
];

const every = Object.values(TransmissionFlag).reduce((all, flag) => all | flag, 0);
const able = { size: 1 << 14, flags: every & ~TransmissionFlag.READ_ONLY };

/**
 * What the server has announced: an export that can do everything, with each kind of replies, or a first-generation
 * server's.
 */
export const information: Readonly<Record<Variant, ExportInformation>> = [
  able,
  { size: 1 << 14, flags: TransmissionFlag.HAS_FLAGS | TransmissionFlag.READ_ONLY, exportNameOnly: true },
  { ...able, headers: "structured", allocation: 1 },
  { ...able, headers: "extended", allocation: 1 },
];

/** The server's bytes of the transmission phase, to a client that goes through the script. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  await talkTo(chunks, async (transport) =>
    useRemote(remoteExport(information[variant], transport, transport, 0), script),
  );
}

import type { Export } from "../../export/export.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { HandshakeFlag, MAX_STRING, NBD_OPTS_MAGIC, Option, Reply, TransmissionFlag } from "../constants.ts";
import { ProtocolError, RefusedError } from "../error.ts";
import { ClientFlags, Greeting } from "../messages.ts";
import { abort } from "../option/abort.ts";
import { exportName } from "../option/export-name.ts";
import { go, info } from "../option/go.ts";
import { list } from "../option/list.ts";
import { type OptionHandler, receivedOption, refuse, type ServerHandshake } from "../option/option.ts";
import type { Negotiated } from "../transmission.ts";

const options = new Map<number, OptionHandler>([
  [Option.EXPORT_NAME, exportName],
  [Option.ABORT, abort],
  [Option.LIST, list],
  [Option.INFO, info],
  [Option.GO, go],
]);

const OFFERED = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES;

/** What a client may do with an export, from what the export can do. */
export function transmissionFlags(target: Export): number {
  let flags: number = TransmissionFlag.HAS_FLAGS;
  if (!target.write) flags |= TransmissionFlag.READ_ONLY;
  if (target.flush) flags |= TransmissionFlag.SEND_FLUSH;
  // Without a flush nothing could be promised of the data that a FUA write has to bring to stable storage.
  if (target.write && target.flush) flags |= TransmissionFlag.SEND_FUA;
  return flags;
}

/**
 * The server's side of the handshake (proto.md, "Fixed newstyle negotiation"). Nothing is asked of the export
 * but its size and what it can do.
 *
 * @param name the export's own name; a client may ask for "" as well
 * @returns what was negotiated, or undefined when the client ended the session with NBD_OPT_ABORT
 * @throws RefusedError when the client asked by EXPORT_NAME for another export
 * @throws ProtocolError, UnexpectedEndError
 */
export async function serverHandshake(
  dialogue: Dialogue,
  target: Export,
  name: string,
): Promise<Negotiated | undefined> {
  await dialogue.write(Greeting.encode({ style: NBD_OPTS_MAGIC, flags: OFFERED }));
  const { flags } = await dialogue.read(ClientFlags.parser(), "client flags");
  if (flags & ~OFFERED) throw new ProtocolError(`the client set unknown flags, 0x${flags.toString(16)}`);

  const { blockSize } = target;
  const negotiated: Negotiated = {
    size: target.size,
    flags: transmissionFlags(target),
    ...(blockSize && { blockSize }),
  };
  const noZeroes = (flags & HandshakeFlag.NO_ZEROES) !== 0;
  const handshake: ServerHandshake = { dialogue, negotiated, name, noZeroes };

  for (;;) {
    const { option, data } = await dialogue.read(receivedOption(), "option");
    if (!data || (option === Option.EXPORT_NAME && data.byteLength > MAX_STRING)) {
      if (option === Option.EXPORT_NAME)
        throw new RefusedError("the client asked for an export name that is too long");
      await refuse(handshake, option, Reply.ERR_TOO_BIG, "the option is too long");
      continue;
    }
    const answer = options.get(option);
    if (!answer) {
      await refuse(handshake, option, Reply.ERR_UNSUP, "this server does not know the option");
      continue;
    }
    const outcome = await answer(data, handshake);
    if (outcome === "transmit") return negotiated;
    if (outcome === "abort") return undefined;
  }
}

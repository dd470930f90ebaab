import { Errno, ExportError } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import { ByteBudget, type Room } from "../../streams/budget.ts";
import { concurrent } from "../../streams/concurrent.ts";
import type { Layer } from "../../streams/duplex.ts";
import type { CommandHandler } from "../command/command.ts";
import { flush } from "../command/flush.ts";
import { read } from "../command/read.ts";
import { unsupported } from "../command/unsupported.ts";
import { write } from "../command/write.ts";
import { Command, CommandFlag, TransmissionFlag } from "../constants.ts";
import type { NbdReply, NbdRequest, Negotiated } from "../transmission.ts";

const commands = new Map<number, CommandHandler>([
  [Command.READ, read],
  [Command.WRITE, write],
  [Command.FLUSH, flush],
]);

export interface RequestHandlerOptions {
  /** How many requests may be in flight. Default 128. */
  limit?: number;
  /** Room for the payloads of the requests in flight, in bytes. Default: 16 MiB that nobody shares. */
  room?: Room;
}

/** Bytes of payload in flight where nobody shares a budget. */
const OWN_BUDGET = 1 << 24;

/** Room that nobody shares. */
export function ownRoom(): Room {
  return new ByteBudget(OWN_BUDGET).share(OWN_BUDGET);
}

/**
 * The layer from requests to replies: does each request on the export, several at a time, replies in any order.
 * Whatever a request asks for, it is answered with an errno at worst; the layer itself does not fail.
 */
export function requestHandler(
  target: Export,
  negotiated: Negotiated,
  { limit = 128, room = ownRoom() }: RequestHandlerOptions = {},
): Layer<NbdRequest[], NbdReply[]> {
  const fua = negotiated.flags & TransmissionFlag.SEND_FUA ? CommandFlag.FUA : 0;

  async function answer(request: NbdRequest): Promise<NbdReply | undefined> {
    const { cookie, type, flags } = request;
    if (type === Command.DISC) return undefined;
    const command = commands.get(type) ?? unsupported;
    const unknownFlags = flags & ~(command.flags | fua);
    const refusal = command.refuse(request, target, negotiated) ?? (unknownFlags ? Errno.EINVAL : undefined);
    if (refusal) return { cookie, error: refusal };
    try {
      const payload = await command.serve(request, target);
      return payload ? { cookie, error: 0, payload } : { cookie, error: 0 };
    } catch (error) {
      return { cookie, error: error instanceof ExportError ? error.errno : Errno.EIO };
    }
  }

  /** What a request holds while it is in flight. One that will be refused holds nothing. */
  function weight(request: NbdRequest): number {
    if (request.payload) return request.payload.byteLength;
    if (request.type !== Command.READ) return 0;
    return read.refuse(request, target, negotiated) ? 0 : request.length;
  }

  return concurrent(answer, { limit, room, weight, held: (request) => request.held ?? 0 });
}

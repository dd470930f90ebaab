import { Errno, ExportError, GivenUpError } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import type { OnExportError } from "../../export/failed-request.ts";
import type { Room } from "../../streams/budget.ts";
import { checkAmount, checkMethods, checkObject, checkType, checkWhole } from "../../streams/check.ts";
import type { ConcurrentOptions } from "../../streams/concurrent.ts";
import { ownRoom } from "../../streams/own-room.ts";
import { blockStatus } from "../command/block-status.ts";
import { cache } from "../command/cache.ts";
import type { CommandHandler } from "../command/command.ts";
import { flush } from "../command/flush.ts";
import { read } from "../command/read.ts";
import { trim } from "../command/trim.ts";
import { unsupported } from "../command/unsupported.ts";
import { write } from "../command/write.ts";
import { writeZeroes } from "../command/write-zeroes.ts";
import { Command, CommandFlag, TransmissionFlag } from "../constants.ts";
import type { NbdReply, NbdRequest, Negotiated } from "../transmission.ts";
import { exportFaults } from "./export-faults.ts";

const commands = new Map<number, CommandHandler>([
  [Command.READ, read],
  [Command.WRITE, write],
  [Command.FLUSH, flush],
  [Command.TRIM, trim],
  [Command.CACHE, cache],
  [Command.WRITE_ZEROES, writeZeroes],
  [Command.BLOCK_STATUS, blockStatus],
]);

/** What the extents that a BLOCK_STATUS finds may take, in bytes. */
export const EXTENTS_WEIGHT = 1 << 16;

export interface RequestHandlerOptions {
  /** How many requests may be in flight. Default 128. */
  limit?: number;
  /** Room for the payloads of the requests in flight, in bytes. Default: 16 MiB that nobody shares. */
  room?: Room;
  /**
   * What makes replies wait for others, to leave in one chunk, where several are ready at a time: for a consumer to which a
   * chunk costs much, as to a browser's WebSocket. See `concurrent`.
   */
  later?: (callback: () => void) => void;
  /** Called when the client has said NBD_CMD_DISC, which tells an orderly end from one without a word. */
  onDisconnect?(): void;
  /** Called once, at the first request other than NBD_CMD_DISC. */
  onFirstRequest?(): void;
  /**
   * Called when the export has failed at a request: has thrown, or has given something else than was asked, as too few
   * bytes. Not called where it refuses what it cannot do, with an ExportError of EINVAL, EOVERFLOW, ENOTSUP or
   * ESHUTDOWN. Default: one warning of the process, or on the console, for each kind of mistake, which ExportErrors are not.
   */
  onerror?: OnExportError | undefined;
  /**
   * Ends the layer without an answer when the export is given up, with a `GivenUpError`: a client that connects again may find
   * another one. Default: it is answered EIO, as any failure.
   */
  endsWhenGivenUp?: boolean;
}

/** The room where none is given. */
export const defaultRoom = (): Room => ownRoom(1 << 24);

/** Answers a request, with an errno at worst; NBD_CMD_DISC has no reply. */
type Answer = (request: NbdRequest) => Promise<NbdReply | undefined>;

/** @throws TypeError, RangeError when what was negotiated lacks something */
export function checkNegotiated(negotiated: Negotiated): void {
  checkObject(negotiated, "what was negotiated");
  checkWhole(negotiated.size, "the size that was negotiated, in bytes,");
  checkWhole(negotiated.flags, "the transmission flags that were negotiated", 0, 0xffff);
}

/** @throws TypeError, RangeError when an option is not what it should be */
export function checkRequestHandlerOptions({ limit, room, ...callbacks }: RequestHandlerOptions): void {
  if (limit !== undefined) checkAmount(limit, "the limit of requests in flight", 1);
  if (room !== undefined) checkMethods(room, "the room", "a Room", ["acquire", "release"]);
  for (const name of ["later", "onDisconnect", "onFirstRequest", "onerror"] as const) {
    if (callbacks[name] !== undefined) checkType(callbacks[name], name, "function");
  }
}

/** What `concurrent` is told to answer requests with: how, and how many at a time. */
export function answering(
  target: Export,
  negotiated: Negotiated,
  {
    limit = 128,
    room = defaultRoom(),
    later,
    onDisconnect,
    onFirstRequest,
    onerror,
    endsWhenGivenUp,
  }: RequestHandlerOptions,
): [
  Answer,
  Pick<ConcurrentOptions<NbdRequest, NbdReply>, "limit" | "room" | "weight" | "held" | "effort" | "later">,
] {
  const offered = commandFlags(negotiated.flags);
  const note = exportFaults(target, onerror);
  let isFirst = onFirstRequest !== undefined;

  const answer: Answer = async (request) => {
    const { cookie, type, flags } = request;
    if (type === Command.DISC) {
      onDisconnect?.();
      return undefined;
    }
    if (isFirst) {
      isFirst = false;
      onFirstRequest?.();
    }
    const reply: NbdReply = { cookie, error: 0 };
    if (negotiated.headers) reply.offset = request.exactOffset ?? request.offset;
    const command = commands.get(type) ?? unsupported;
    const unknownFlags = flags & ~((command.flags | CommandFlag.FUA) & offered);
    reply.error = refuse(request, command) ?? (unknownFlags ? Errno.EINVAL : 0);
    if (reply.error) return reply;
    try {
      const content = await command.serve(request, target, negotiated, note);
      return content ? Object.assign(reply, content) : reply;
    } catch (error) {
      if (endsWhenGivenUp && error instanceof GivenUpError) throw error;
      note(error, request);
      return failed(reply, request, error);
    }
  };

  function refuse(request: NbdRequest, command: CommandHandler): Errno | undefined {
    return request.refused ?? command.refuse(request, target, negotiated);
  }

  /** What a request holds while it is in flight. One that will be refused holds nothing, unless the parser has taken room. */
  function weight(request: NbdRequest): number {
    const { type, payload, length, held } = request;
    if (held !== undefined) return held;
    if (payload) return payload.byteLength;
    if (type === Command.BLOCK_STATUS)
      return blockStatus.refuse(request, target, negotiated) ? 0 : EXTENTS_WEIGHT;
    if (type !== Command.READ) return 0;
    return refuse(request, read) ? 0 : length;
  }

  const held = (request: NbdRequest) => request.held ?? 0;
  const effort = ({ type }: NbdRequest) => commands.get(type)?.effort ?? 0;
  return [answer, { limit, room, weight, held, effort, later }];
}

/** Command flags that clients may use, whatever the command. */
function commandFlags(flags: number): number {
  let offered = CommandFlag.NO_HOLE | CommandFlag.REQ_ONE;
  if (flags & TransmissionFlag.SEND_FUA) offered |= CommandFlag.FUA;
  if (flags & TransmissionFlag.SEND_DF) offered |= CommandFlag.DF;
  if (flags & TransmissionFlag.SEND_FAST_ZERO) offered |= CommandFlag.FAST_ZERO;
  return offered;
}

/** A reply that tells what an export has thrown; where, if that is in what was asked (proto.md, "NBD_REPLY_TYPE_ERROR_OFFSET"). */
function failed(reply: NbdReply, { offset: from, length }: NbdRequest, error: unknown): NbdReply {
  if (!(error instanceof ExportError)) return { ...reply, error: Errno.EIO };
  const { errno, message, offset } = error;
  const isWithin = offset !== undefined && offset >= from && offset < from + length;
  return { ...reply, error: errno, message, ...(isWithin && { errorOffset: offset }) };
}

import { unlessAborted } from "../../streams/unless-aborted.ts";
import type { CachedPiece } from "./cached-piece.ts";

/** A piece that a read uses, and whether this very read has asked for it. */
export interface Covering {
  piece: CachedPiece;
  isOwn: boolean;
}

/** Asks for a range once more, after another read's request for it has failed with `error`. */
export type AskAgain = (
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
  error: unknown,
) => Promise<Uint8Array>;

/**
 * The bytes from `offset` to `end` out of the pieces that they lie in, which the read then leaves. A read that lies in one
 * piece is given a part of its bytes, others are given a copy.
 */
export function readPieces(
  pieces: readonly Covering[],
  offset: number,
  end: number,
  askAgain: AskAgain,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (pieces.length === 1) return readPart(pieces[0]!, offset, end, askAgain, signal);
  return readAcross(pieces, offset, end, askAgain, signal);
}

/** It is not async: such a read waits for nothing but its bytes. */
function readPart(
  covering: Covering,
  offset: number,
  end: number,
  askAgain: AskAgain,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { piece } = covering;
  const part = ([bytes, start]: [Uint8Array, number]) =>
    piece.leaveWith(bytes.subarray(offset - start, end - start));
  if (piece.bytes) return Promise.resolve(part([piece.bytes, piece.start]));
  const failed = (error: unknown) => {
    piece.leave();
    throw error;
  };
  return unlessAborted(arrival(covering, offset, end, askAgain, signal).then(part, failed), signal);
}

async function readAcross(
  pieces: readonly Covering[],
  offset: number,
  end: number,
  askAgain: AskAgain,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const result = new Uint8Array(end - offset);
  const copy = (bytes: Uint8Array, start: number) => {
    const from = Math.max(offset, start);
    const to = Math.min(end, start + bytes.byteLength);
    result.set(bytes.subarray(from - start, to - start), from - offset);
  };
  const waiting: Promise<void>[] = [];
  for (const covering of pieces) {
    const { piece } = covering;
    // At once: the piece may be gone, or changed, by the time that the others are there.
    if (piece.bytes) {
      copy(piece.bytes, piece.start);
      piece.leave();
    } else {
      const arrived = arrival(covering, offset, end, askAgain, signal);
      waiting.push(arrived.then(([bytes, at]) => copy(bytes, at)).finally(() => piece.leave()));
    }
  }
  await unlessAborted(Promise.all(waiting), signal);
  return result;
}

/** The bytes of a piece that is on its way, and their offset. */
async function arrival(
  { piece: { start, end, arrival }, isOwn }: Covering,
  from: number,
  to: number,
  askAgain: AskAgain,
  signal: AbortSignal | undefined,
): Promise<[Uint8Array, number]> {
  try {
    return [await arrival, start];
  } catch (error) {
    if (isOwn) throw error;
    const first = Math.max(from, start);
    return [await askAgain(first, Math.min(to, end) - first, signal, error), first];
  }
}

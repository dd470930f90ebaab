import { concat } from "../streams/concat.ts";
import { giveBack } from "../streams/lent.ts";

/** Payloads from this many bytes on go out as they are; shorter ones are copied to stand behind their header. */
const UNCOPIED = 1 << 15;

/**
 * Turns messages into as few chunks as possible: headers and short payloads are gathered into one, since what a
 * write and what a WebSocket message costs has little to do with its length. A long payload is not copied, unless there
 * is memory to copy `into` and all the messages fit. Payloads that were copied are given back.
 */
export function gather<M extends { payload?: Uint8Array }>(
  messages: readonly M[],
  encodeHeader: (message: M) => Uint8Array,
  emit: (chunk: Uint8Array) => void,
  into?: Uint8Array,
): void {
  const all = into && gatherInto(into, messages, encodeHeader);
  if (all) {
    emit(all);
    return;
  }
  let gathered: Uint8Array[] = [];
  const emitGathered = () => {
    emit(concat(gathered));
    // A single one is a header, which concat has not copied.
    if (gathered.length > 1) for (const part of gathered) giveBack(part);
    gathered = [];
  };
  for (const message of messages) {
    gathered.push(encodeHeader(message));
    const { payload } = message;
    if (!payload || payload.byteLength === 0) continue;
    if (payload.byteLength < UNCOPIED) {
      gathered.push(payload);
      continue;
    }
    emitGathered();
    emit(payload);
  }
  if (gathered.length > 0) emitGathered();
}

/** All messages in one piece, their payloads given back; undefined where they do not fit. */
function gatherInto<M extends { payload?: Uint8Array }>(
  into: Uint8Array,
  messages: readonly M[],
  encodeHeader: (message: M) => Uint8Array,
): Uint8Array | undefined {
  let length = 0;
  for (const message of messages) {
    for (const part of [encodeHeader(message), message.payload ?? NOTHING]) {
      if (length + part.byteLength > into.byteLength) return undefined;
      into.set(part, length);
      length += part.byteLength;
    }
  }
  for (const { payload } of messages) if (payload) giveBack(payload);
  return into.subarray(0, length);
}

const NOTHING = new Uint8Array(0);

import { concat } from "../streams/concat.ts";
import { giveBack } from "../streams/lent.ts";

/** Payloads of at least this many bytes are sent as they are; shorter ones are copied behind their header. */
const UNCOPIED = 1 << 15;

/**
 * Turns messages into few chunks, since the cost of a write or a WebSocket message hardly depends on its length. Headers and
 * short payloads are copied into one chunk. Long payloads are not copied, unless all messages fit into `into`. Copied
 * payloads are given back.
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
    // A single part is a header, which concat has not copied.
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

/** Copies all messages into one chunk and gives their payloads back. Undefined if they do not fit. */
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

import { shown } from "../streams/check.ts";
import { byteLength, type Payload } from "../streams/payload.ts";

/**
 * What a read of an export gave, if it is that many bytes.
 * @throws RangeError, TypeError that says what it gave instead: a mistake of the export
 */
export function payloadOfRead(payload: Payload, offset: number, length: number): Payload {
  if (!isPayload(payload))
    throw new TypeError(`read(${offset}, ${length}) gave ${shown(payload)}, not a Uint8Array`);
  const given = byteLength(payload);
  if (given !== length) throw new RangeError(`read(${offset}, ${length}) gave ${given} bytes`);
  return payload;
}

/** A Blob may be of another window, where it has another class. */
function isPayload(value: Partial<Blob> | Uint8Array | undefined): boolean {
  return value instanceof Uint8Array || typeof value?.arrayBuffer === "function";
}

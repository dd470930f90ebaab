import { shown } from "../streams/check.ts";

/**
 * Checks what `read` of an export returned, and returns it.
 * @throws TypeError, RangeError if it is not `length` bytes, which is a fault of the export
 */
export function payloadOfRead(payload: Uint8Array, offset: number, length: number): Uint8Array {
  if (!(payload instanceof Uint8Array))
    throw new TypeError(`read(${offset}, ${length}) gave ${shown(payload)}, not a Uint8Array`);
  const given = payload.byteLength;
  if (given !== length) throw new RangeError(`read(${offset}, ${length}) gave ${given} bytes`);
  return payload;
}

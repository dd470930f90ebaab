import { shown } from "../streams/check.ts";

/**
 * What a read of an export gave, if it is that many bytes.
 * @throws RangeError, TypeError that says what it gave instead: a mistake of the export
 */
export function payloadOfRead(payload: Uint8Array, offset: number, length: number): Uint8Array {
  if (!(payload instanceof Uint8Array))
    throw new TypeError(`read(${offset}, ${length}) gave ${shown(payload)}, not a Uint8Array`);
  const given = payload.byteLength;
  if (given !== length) throw new RangeError(`read(${offset}, ${length}) gave ${given} bytes`);
  return payload;
}

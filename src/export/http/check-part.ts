import { quoted } from "../../streams/quoted.ts";
import { parseContentRange, parseUnsatisfiedRange } from "./content-range.ts";
import { HttpError } from "./http-error.ts";
import { statusFault } from "./status-fault.ts";
import { type Validator, validatorDifference, validatorOf } from "./validator.ts";

/** A file as it was when it was first asked for. */
export interface KnownFile {
  readonly size: number;
  readonly validator: Validator;
}

/** The bytes that were asked for. */
export interface WantedRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Checks the head of an answer, before anything of its body is read.
 * @param known undefined: this is the first answer
 * @returns the file that it is a part of
 * @throws HttpError when it is not the part that was asked for, of the file that is known
 */
export function checkPart(response: Response, wanted: WantedRange, known: KnownFile | undefined): KnownFile {
  const { status, headers } = response;
  const validator = validatorOf(headers);
  if (status === 416) throw refusedRange(response, known);
  if (status !== 200 && status !== 206) throw statusFault(response);
  const encoding = headers.get("content-encoding")?.trim() || "identity";
  if (encoding.toLowerCase() !== "identity") {
    const words = `the server sends it compressed (${quoted(encoding)}), although it was asked not to; turn that off for this file`;
    throw new HttpError("compressed", words);
  }
  const length = lengthOf(headers);
  if (status === 200) throw wholeFile(known, validator, length);

  const range = headers.get("content-range");
  const { first, last, total } = parseContentRange(range) ?? {};
  if (first === undefined || first !== wanted.first || last !== wanted.last) {
    const told = range === null ? "none" : quoted(range);
    const words = `the server sent another part than bytes ${wanted.first} to ${wanted.last}: its Content-Range is ${told}`;
    throw new HttpError("content-range", words);
  }
  if (total === undefined) throw new HttpError("no-size", "the server does not tell how long the file is");
  throwIfChanged(known, { size: total, validator });
  const announced = 1 + last - first;
  if (length !== undefined && length !== announced) {
    const words = `the server announced ${announced} bytes, and sends ${length}`;
    throw new HttpError(length < announced ? "too-short" : "too-long", words);
  }
  return { size: total, validator };
}

/** The fault of an answer 200. */
function wholeFile(
  known: KnownFile | undefined,
  validator: Validator,
  length: number | undefined,
): HttpError {
  if (known) throwIfChanged(known, { size: length ?? known.size, validator });
  else if (length === 0) return empty();
  return new HttpError(
    "no-ranges",
    "the server sends all of the file in place of a part (200): a disk needs a server with range requests, as nginx, Apache and object stores are",
    { status: 200 },
  );
}

function refusedRange(response: Response, known: KnownFile | undefined): HttpError {
  const size = parseUnsatisfiedRange(response.headers.get("content-range"));
  if (!known && size === 0) return empty();
  if (known && size !== undefined && size !== known.size) return changed(sizes(known.size, size));
  return statusFault(response);
}

function throwIfChanged(known: KnownFile | undefined, now: KnownFile): void {
  if (!known) return;
  if (now.size !== known.size) throw changed(sizes(known.size, now.size));
  const difference = validatorDifference(known.validator, now.validator);
  if (difference) throw changed(difference);
}

const sizes = (before: number, now: number) => `it has ${now} bytes, and had ${before}`;

function changed(how: string): HttpError {
  const words = `the file was changed on the server: ${how}; eject it, and serve it again`;
  return new HttpError("changed", words);
}

function empty(): HttpError {
  return new HttpError("empty", "the file has 0 bytes");
}

/** The length that a header tells; undefined: none, or none that makes sense. */
function lengthOf(headers: Headers): number | undefined {
  const told = headers.get("content-length")?.trim() ?? "";
  return /^\d{1,15}$/.test(told) ? Number(told) : undefined;
}

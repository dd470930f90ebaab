import { isDeepStrictEqual } from "node:util";
import { memoryExport } from "../../../src/export/memory.ts";
import { requestParser } from "../../../src/nbd/server/request-parser.ts";
import { transmission } from "../../../src/nbd/server/transmission.ts";
import type { NbdRequest, Negotiated } from "../../../src/nbd/transmission.ts";
import { transmissionFlags } from "../../../src/nbd/transmission-flags.ts";
import { concat } from "../../../src/streams/payload.ts";
import { collect, source } from "../../bytes.ts";
import { ending, judge, serveBytes } from "../../nbd/hostile.ts";
import { readInput } from "../input.ts";

/** The client's bytes of the transmission phase: to a read-only export, or to a writable one with block sizes. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  const image = new Uint8Array(1 << 14);
  const blockSize = { minimum: 512, preferred: 4096, maximum: 8192 };
  const target =
    variant === 0 ? memoryExport(image, { readOnly: true }) : { ...memoryExport(image), blockSize };
  const negotiated: Negotiated = {
    size: target.size,
    flags: transmissionFlags(target),
    ...(variant === 1 && { blockSize }),
  };
  await serveBytes(transmission(target, negotiated), chunks);
  const [split, whole] = [await parsed(negotiated, chunks), await parsed(negotiated, [concat(chunks)])];
  if (!isDeepStrictEqual(split, whole)) {
    throw new Error("other requests where the bytes are split", { cause: { split, whole } });
  }
}

async function parsed(negotiated: Negotiated, chunks: Iterable<Uint8Array>) {
  const requests: NbdRequest[][] = [];
  const end = ending(
    "the request parser",
    collect(source(chunks).pipeThrough(requestParser(negotiated)), requests),
  );
  const error = await end.then(() => undefined, judge);
  return { requests: requests.flat(), error: error?.name };
}

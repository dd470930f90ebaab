import { maskKeys } from "../../../src/nbd/describe/masked.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import {
  introducedContext,
  introduceQuery,
  keyQuery,
  readIntroducedContext,
  readIntroduceQuery,
  readKeyQuery,
} from "../../../src/nbd/introduction.ts";
import { readInput, type Variant } from "../input.ts";

function expectSame(what: string, one: string | undefined, other: string | undefined): void {
  if (one !== other) throw new Error(`${what}: ${one} is read as ${other}`);
}

/** What is read can be written, and is read as the same. */
const parsers: Readonly<Record<Variant, (text: string, bytes: Uint8Array) => void>> = {
  0(text) {
    const gateway = readIntroduceQuery(text);
    if (gateway) expectSame("an introduction of a gateway", text, introduceQuery(gateway));
  },
  1(text) {
    const key = readKeyQuery(text);
    if (key !== undefined) expectSame("a key", text, keyQuery(key));
  },
  2(text) {
    let context: string;
    try {
      context = introducedContext(readIntroducedContext(text));
    } catch (error) {
      if (error instanceof ProtocolError) return;
      throw error;
    }
    expectSame("an introduction", context, introducedContext(readIntroducedContext(context)));
  },
  3(text, bytes) {
    const key = readKeyQuery(text);
    maskKeys(bytes);
    if (key !== undefined) expectSame("a masked key", keyQuery("A".repeat(key.length)), decoded(bytes));
  },
};

const decoded = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** The text of a query or of a context. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  for (const bytes of chunks) parsers[variant](decoded(bytes), bytes);
}

import { setFlagsFromString } from "node:v8";

/** Releases of Node whose V8 is known to have the flag; it would complain about one that it does not know. */
const KNOWN = { from: 20, to: 26 };

/**
 * Keeps V8's young generation at its first size, 1 MiB. V8 lets buffers that nobody uses any more lie until their size is
 * twice that of the young generation, which otherwise grows to 16 MiB and more.
 *
 * To be called once all modules are loaded: with a flag of V8's, Node has to compile what it has compiled ahead.
 */
export function keepYoungGenerationSmall(): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major >= KNOWN.from && major <= KNOWN.to) setFlagsFromString("--semi-space-growth-factor=1");
}

import { setFlagsFromString } from "node:v8";

/** Releases of Node whose V8 is known to have the flag. V8 would complain about an unknown flag. */
const KNOWN = { from: 20, to: 26 };

/**
 * Keeps V8's young generation at its first size, 1 MiB. V8 does not free unused buffers until their size is twice that of the
 * young generation, which otherwise grows to 16 MiB and more.
 *
 * Call it once all modules are loaded: once a flag is set, Node cannot use the code that it has compiled ahead.
 */
export function keepYoungGenerationSmall(): void {
  const major = Number.parseInt(process.versions.node, 10);
  if (major >= KNOWN.from && major <= KNOWN.to) setFlagsFromString("--semi-space-growth-factor=1");
}

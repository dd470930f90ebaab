import { memoryExport } from "../../../src/export/memory.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { serveBytes } from "../../nbd/hostile.ts";
import { readInput } from "../input.ts";

/** Everything that a client says, from its flags on, to a read-only or a writable export. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  const target = memoryExport(new Uint8Array(1 << 14), { readOnly: variant % 2 === 0 });
  await serveBytes(nbdServer(target, { name: "disk.img" }), chunks);
}

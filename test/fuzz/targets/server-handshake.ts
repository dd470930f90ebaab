import { memoryExport } from "../../../src/export/memory.ts";
import { introducing } from "../../../src/nbd/server/introducing.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { serveBytes } from "../../nbd/hostile.ts";
import { readInput } from "../input.ts";

/** What is said of the disk to whoever asks for it. */
const introduction = introducing({
  answer: async ({ nonce }) => ({
    ...{ name: "disk.img", size: 4096, modified: 1, samples: new Uint8Array(8), incarnation: nonce },
    ...{ proof: undefined, changed: undefined },
  }),
  keep() {},
});

/** Everything that a client says, from its flags on, to a read-only or a writable export. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  const target = memoryExport(new Uint8Array(1 << 14), { readOnly: variant % 2 === 0 });
  await serveBytes(nbdServer(target, { name: "disk.img", introduction }), chunks);
}

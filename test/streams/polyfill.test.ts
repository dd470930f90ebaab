/** The spine in a runtime whose streams are missing or old: in a process of its own, as modules choose theirs once. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { root, Sandbox, suite } from "../harness.ts";

const tests = suite("polyfill");
const module = (path: string) => JSON.stringify(pathToFileURL(join(root, path)).href);

/** Serves 1 MB over a pair, reads and writes it, and says which streams did it. */
const spine = `
  const { join, memoryExport, nbdClient, nbdServer, transportPair } = await import(${module("src/index.ts")});
  const runtime = await import(${module("src/streams/runtime.ts")});
  const bytes = Uint8Array.from({ length: 1_000_003 }, (_, i) => (i * 31) & 0xff);
  const [near, far] = transportPair();
  const serving = join(near, nbdServer(memoryExport(bytes.slice()), { name: "disk" }));
  const remote = await nbdClient(far, { timeout: 20 });
  const same = (a, b) => Buffer.from(a).equals(Buffer.from(b));
  const whole = same(await remote.read(0, 1_000_003), bytes);
  await remote.write(5, new Uint8Array(300_000), { fua: true });
  const changed = same(await remote.read(4, 300_002), [bytes[4], ...new Uint8Array(300_000), bytes[300_005]]);
  const late = await remote.read(1_000_003, 1).catch((error) => error.name);
  await remote.close();
  await remote.closed;
  await serving;
  const broken = transportPair();
  const failed = join(broken[0], nbdServer(memoryExport(bytes))).catch((error) => error.name);
  const writer = broken[1].writable.getWriter();
  writer.write(new Uint8Array(100)).catch(() => {});
  const reader = broken[1].readable.getReader();
  while (!(await reader.read().catch(() => ({ done: true }))).done);
  console.log(JSON.stringify({
    native: near.readable.constructor === native.ReadableStream,
    oneKind: new Set([
      near.readable.constructor === native.ReadableStream,
      near.writable.constructor === native.WritableStream,
      new runtime.ReadableStream().constructor === native.ReadableStream,
      new runtime.WritableStream().constructor === native.WritableStream,
    ]).size,
    whole, changed, late, broken: await failed,
  }));
`;

/** Runs a module in a process of its own; returns what it prints. */
function evaluate(sandbox: Sandbox, script: string): Promise<string> {
  return sandbox.run(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script], {
    cwd: root,
  });
}

for (const [what, prepare, native] of [
  ["the runtime's own streams", "", true],
  ["no streams at all", "for (const name of Object.keys(native)) delete globalThis[name];", false],
  ["a ReadableStream without pipeTo", "delete native.ReadableStream.prototype.pipeTo;", false],
  ["no WritableStream", "delete globalThis.WritableStream;", false],
  ["writable streams without a signal", "delete WritableStreamDefaultController.prototype.signal;", false],
] as const) {
  tests(`the spine runs with ${what}`, async () => {
    const sandbox = new Sandbox();
    try {
      const script = `
        const { ReadableStream, WritableStream } = globalThis;
        const native = { ReadableStream, WritableStream };
        ${prepare}
        await import(${module("src/streams/polyfill.ts")});
        ${spine}`;
      assert.equal(JSON.parse(await evaluate(sandbox, script)), {
        native,
        oneKind: 1,
        whole: true,
        changed: true,
        late: "RangeError",
        broken: "ProtocolError",
      });
    } finally {
      await sandbox.end();
    }
  });
}

tests("where streams are missing and nothing was imported, the error says what to import", async () => {
  const sandbox = new Sandbox();
  try {
    const said = await evaluate(
      sandbox,
      `delete WritableStreamDefaultController.prototype.signal;
       const { transportPair } = await import(${module("src/index.ts")});
       try { transportPair(); } catch (error) { console.log(error.message); }
       await import(${module("src/streams/polyfill.ts")});
       console.log(typeof transportPair()[0].writable.getWriter);`,
    );
    const [error, later] = said.trimEnd().split("\n");
    assert.match(error!, /^this runtime lacks .*: import "nbd-proxy\/polyfill" first/);
    assert.is(later, "function", "it may also be imported later, before the first stream");
  } finally {
    await sandbox.end();
  }
});

tests.run();

import { once } from "node:events";
import { openSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite } from "../harness.ts";
import { attached, attachedAt, pattern, startGateway } from "./link.ts";

const MIB = 1 << 20;
const SIZE = 5 * 1024 * MIB;

/** Where there is data in the image, in MiB: 10 of 5,120. */
const DATA = [
  [0, 1],
  [100, 3],
  [4000, 5],
  [5119, 1],
] as const;
const DATA_BYTES = 10 * MIB;

interface Context {
  sandbox: Sandbox;
  relay: Server & { bytes: number };
  /** Starts nbd-serve of a file behind a relay that counts what goes through, and a gateway that offers it. */
  serve(file: string, args?: string[]): Promise<{ uri: string; gateway: Running }>;
}

const tests = suite<Context>("holes go through as holes");

tests.before.each((context) => {
  const sandbox = new Sandbox();
  let port = 0;
  const relay = Object.assign(
    createServer((near) => {
      const far = connect(port, "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on("data", (chunk) => {
          relay.bytes += chunk.byteLength;
        });
        from.on("error", () => to.destroy());
        from.pipe(to);
      }
    }),
    { bytes: 0 },
  );
  Object.assign(context, {
    sandbox,
    relay,
    async serve(file: string, args: string[] = []) {
      const gateway = await startGateway(sandbox);
      port = Number(new URL(gateway.url).port);
      relay.listen(0, "127.0.0.1");
      await once(relay, "listening");
      const url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`;
      sandbox.start(program("nbd-serve"), [...args, file, url]);
      await attached(gateway);
      return { gateway, uri: attachedAt(sandbox).uri };
    },
  } satisfies Context);
});
tests.after.each(async ({ sandbox, relay }) => {
  await sandbox.end();
  relay.close();
});

function sparseImage(sandbox: Sandbox): string {
  const path = sandbox.path("sparse.img");
  writeFileSync(path, "");
  truncateSync(path, SIZE);
  const file = openSync(path, "r+");
  for (const [at, length] of DATA) writeSync(file, pattern(length * MIB, at + 1), 0, length * MIB, at * MIB);
  return path;
}

const identical = async (sandbox: Sandbox, a: string, b: string) =>
  assert.match(await sandbox.run("qemu-img", ["compare", "-f", "raw", "-F", "raw", a, b]), "identical");

const allocated = (file: string) => statSync(file).blocks * 512;

function aboutTheData(bytes: number) {
  assert.ok(bytes > DATA_BYTES, `${bytes} bytes went through`);
  assert.ok(bytes < 1.05 * DATA_BYTES, `${bytes} bytes went through`);
}

needing(tests, ["nbdcopy", "nbdinfo", "qemu-img"])(
  "5 GiB with 10 MiB of data are copied out over a WebSocket with little more than 10 MiB",
  async ({ sandbox, relay, serve }) => {
    const image = sparseImage(sandbox);
    const { uri } = await serve(image);
    const map = JSON.parse(await sandbox.run("nbdinfo", ["--map", "--json", uri])) as {
      offset: number;
      length: number;
      type: number;
    }[];
    assert.equal(
      map.filter(({ type }) => type === 0).map(({ offset, length }) => [offset / MIB, length / MIB]),
      DATA.map(([at, length]) => [at, length]),
    );

    relay.bytes = 0;
    const copy = sandbox.path("copy.img");
    await sandbox.run("nbdcopy", [uri, copy]);
    aboutTheData(relay.bytes);
    assert.ok(allocated(copy) < 2 * DATA_BYTES, "the copy has the holes");
    await identical(sandbox, image, copy);
  },
);

needing(tests, ["nbdsh", "nbdcopy"])(
  "a client that asks for no holes gets zeroes, which do not go over the WebSocket either",
  async ({ sandbox, relay, serve }) => {
    const { uri } = await serve(sparseImage(sandbox));
    relay.bytes = 0;
    // 64 MiB around 3 MiB of data.
    const script = `
import nbd
h = nbd.NBD()
h.set_request_structured_replies(False)
h.connect_uri("${uri}")
assert not h.get_structured_replies_negotiated()
zeroes = bytes(1 << 20)
data = [at for at in range(64, 128) if h.pread(1 << 20, at << 20) != zeroes]
assert data == [100, 101, 102], data
h.shutdown()`;
    await sandbox.run("/usr/bin/python3", ["-c", script]);
    assert.ok(relay.bytes > 3 * MIB && relay.bytes < 3.3 * MIB, `${relay.bytes} bytes went through`);
  },
);

needing(tests, ["nbdcopy", "qemu-img"])(
  "5 GiB with 10 MiB of data are copied in: the holes become holes of the file",
  async ({ sandbox, relay, serve }) => {
    const image = sparseImage(sandbox);
    const target = sandbox.path("target.img");
    writeFileSync(target, pattern(16 * MIB));
    truncateSync(target, SIZE);
    const { uri } = await serve(target, ["--writable"]);
    relay.bytes = 0;
    await sandbox.run("nbdcopy", ["--flush", image, uri]);
    aboutTheData(relay.bytes);
    assert.ok(allocated(target) < 2 * DATA_BYTES, `${allocated(target)} bytes are allocated`);
    await identical(sandbox, image, target);
  },
);

tests.run();

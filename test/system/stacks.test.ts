/** NBD over NBD over NBD: qemu and nbdkit on top of ours, ours on top of nbdkit with filters, and odd servers. */
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { needing, type Running, root, Sandbox, suite, until, within } from "../harness.ts";
import {
  type Attached,
  attached,
  connectWires,
  pattern,
  sha256,
  startProxy,
  throughGateway,
} from "./link.ts";

const MIB = 1 << 20;
const SIZE = 4 * MIB;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("servers and clients in a stack");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** A server on top of another, once it listens. */
async function onTop(sandbox: Sandbox, command: string, args: string[]): Promise<Running & Attached> {
  const socket = sandbox.path("top.sock");
  const running = sandbox.start(
    command,
    args.map((word) => word.replace("{}", socket)),
  );
  await until(`${command} listens`, () => {
    if (running.process.exitCode !== null) throw new Error(running.stderr);
    return existsSync(socket);
  });
  return Object.assign(running, { socket, uri: `nbd+unix:///?socket=${socket}` });
}

/** nbdkit ▸ nbd-proxy ▸ a unix socket. */
async function overNbdkit(sandbox: Sandbox, args: string[], keys = {}): Promise<Running & Attached> {
  const nbdkit = sandbox.start("nbdkit", ["--single", ...args], { wire: true });
  const proxy = startProxy(sandbox, keys);
  connectWires(nbdkit, proxy);
  await attached(proxy);
  return proxy;
}

const map = (sandbox: Sandbox, uri: string) => sandbox.run("nbdinfo", ["--map", uri]);

/** The image with a hole of 1 MiB in it; as an NBD map. */
async function withHole(sandbox: Sandbox, image: string): Promise<void> {
  await sandbox.run("fallocate", [
    "--punch-hole",
    `--offset=${MIB}`,
    `--length=${MIB}`,
    "--keep-size",
    image,
  ]);
}
const HOLE = /^ +0 +1048576 +0 +data\n +1048576 +1048576 +3 +hole,zero\n +2097152 +2097152 +0 +data\n$/;

/** Trims 1 MiB at 2 MiB, writes a block with FUA there, and flushes. */
async function change(sandbox: Sandbox, uri: string) {
  const commands = ["discard 2M 1M", "write -f -P 0x61 2M 4k", "write -z -u 3M 512k", "flush"];
  const args = commands.flatMap((command) => ["-c", command]);
  const output = await sandbox.run("qemu-io", ["-d", "unmap", "-f", "raw", ...args, uri]);
  assert.not.match(output, /failed|error/i);
}

function expectChanged(image: string) {
  const bytes = readFileSync(image);
  const expected = pattern(SIZE);
  expected.fill(0, MIB, 3.5 * MIB);
  expected.fill(0x61, 2 * MIB, 2 * MIB + 4096);
  assert.ok(bytes.equals(expected), "the file has what was written");
  assert.ok(statSync(image).blocks * 512 <= 1.5 * MIB + 65536, "what was discarded is a hole of the file");
}

for (const [name, args] of [
  ["qemu-nbd", ["--format=raw", "--discard=unmap", "--persistent", "--shared=4", "--socket={}", "URI"]],
  ["nbdkit", ["--foreground", "--unix={}", "nbd", "URI"]],
] as const) {
  needing(tests, [name, "nbdinfo", "nbdcopy", "qemu-io"])(
    `${name} as a client of ours, and a server to others: holes, trims, FUA and errors go through both`,
    async ({ sandbox, image }) => {
      await withHole(sandbox, image);
      const ours = await throughGateway(sandbox, image, { writable: true });
      const words = args.map((word) => word.replace("URI", name === "nbdkit" ? `uri=${ours.uri}` : ours.uri));
      const top = await onTop(sandbox, name, words);
      const { uri } = top;
      assert.match(await map(sandbox, uri), HOLE);
      const copy = sandbox.path("copy.img");
      await sandbox.run("nbdcopy", [uri, copy]);
      assert.is(await sha256(copy), await sha256(image));
      await change(sandbox, uri);
      expectChanged(image);
      // The file has become shorter: what is beyond its end can't be read.
      truncateSync(image, SIZE / 2);
      const reader = sandbox.start("nbdcopy", ["--no-extents", "--synchronous", uri, "null:"]);
      assert.is.not(await within(20_000, "nbdcopy", reader.exit), 0);
      // qemu-nbd says so itself, and hangs up.
      assert.match(top.stderr + reader.stderr, /Input\/output error/);
    },
  );
}

needing(tests, ["qemu-img"])(
  "qemu-img converts into an export, compares in both directions, and finds what differs",
  async ({ sandbox, image }) => {
    const { uri } = await throughGateway(sandbox, image, { writable: true });
    const other = sandbox.path("other.img");
    writeFileSync(other, pattern(SIZE, 2));
    await withHole(sandbox, other);
    const raw = ["-f", "raw", "-F", "raw"];
    const different = sandbox.start("qemu-img", ["compare", ...raw, other, uri]);
    assert.is(await within(20_000, "qemu-img", different.exit), 1);
    assert.match(different.stdout, /mismatch at offset 0/);

    await sandbox.run("qemu-img", ["convert", "-n", "-W", "-m", "8", "-f", "raw", "-O", "raw", other, uri]);
    assert.match(await sandbox.run("qemu-img", ["compare", ...raw, other, uri]), "identical");
    assert.match(await sandbox.run("qemu-img", ["compare", ...raw, uri, other]), "identical");
    assert.is(await sha256(image), await sha256(other));
    assert.ok(statSync(image).blocks * 512 < SIZE, "the hole became one of the file");

    // A format of qemu's own inside an export, which is written in blocks of many sizes.
    await sandbox.run("qemu-img", ["create", "-f", "qcow2", uri, "2M"]);
    await sandbox.run("qemu-io", ["-f", "qcow2", "-c", "write -P 5 4096 1M", uri]);
    await sandbox.run("qemu-img", ["check", "-f", "qcow2", uri]);
    await sandbox.run("qemu-io", ["-f", "qcow2", "-c", "read -P 5 4096 1M", "-c", "read -P 0 0 4k", uri]);
  },
);

for (const [what, flags] of [
  ["structured replies", []],
  ["simple replies", ["--no-sr"]],
] as const) {
  needing(tests, ["nbdkit", "qemu-io", "nbdinfo"])(
    `qemu-io on top of ours, on top of nbdkit with ${what}`,
    async ({ sandbox, image }) => {
      await withHole(sandbox, image);
      const { uri } = await overNbdkit(sandbox, [...flags, "file", image]);
      const all = /^ +0 +4194304 +0 +data\n$/;
      assert.match(await map(sandbox, uri), flags.length > 0 ? all : HOLE);
      await change(sandbox, uri);
      expectChanged(image);
      const output = await sandbox.run("qemu-io", [
        ...["-f", "raw", "-c", "read -P 0x61 2M 4k", "-c", "read -P 0 1M 1M", "-c", "read 0 4M", uri],
      ]);
      assert.not.match(output, /failed|error/i);
    },
  );
}

for (const errno of ["EPERM", "EIO", "ENOMEM", "EINVAL", "ENOSPC"]) {
  needing(tests, ["nbdkit", "nbdsh"])(
    `nbdkit with the filter error: ${errno} of each command reaches the client`,
    async ({ sandbox, image }) => {
      const filter = ["--filter=error", "file", image, `error=${errno}`, "error-rate=100%"];
      const { uri } = await overNbdkit(sandbox, filter);
      const script = join(root, "test/system/errno-of-remote.py");
      // Not of CACHE, which asks the proxy to read ahead.
      const commands = ["pread", "pwrite", "trim", "zero", "extents", "pread"];
      await sandbox.run("/usr/bin/python3", [script, uri, errno, ...commands]);
    },
  );
}

needing(tests, ["nbdkit", "nbdcopy", "nbdsh"])(
  "nbdkit with the filter delay: many writes at a time, and a reader that gets EIO after the timeout",
  async ({ sandbox, image }) => {
    const args = ["--filter=delay", "file", image, "delay-write=20ms", "delay-zero=20ms"];
    const first = await overNbdkit(sandbox, args);
    const other = sandbox.path("other.img");
    writeFileSync(other, pattern(SIZE, 2));
    await sandbox.run("nbdcopy", ["--flush", "--request-size=65536", other, first.uri]);
    assert.is(await sha256(image), await sha256(other));
    first.kill();
    assert.is(await within(5000, "nbd-proxy", first.exit), 0);

    const slow = ["--filter=delay", "file", image, "delay-read=60"];
    const second = await overNbdkit(sandbox, slow, { timeout: 1 });
    const script = join(root, "test/system/errno-of-remote.py");
    const reader = sandbox.start("/usr/bin/python3", [script, second.uri, "EIO", "pread"]);
    assert.is(await within(20_000, "nbd-proxy", second.exit), 1);
    assert.match(second.stderr, /the server did not answer a READ at 0 for 1 s/);
    assert.is(await within(5000, "the reader", reader.exit), 0, reader.stderr);
  },
);

/** nbdkit's eval plugin: a server whose every answer is a line of shell. */
const evaluated = (methods: Record<string, string>) => [
  "eval",
  ...Object.entries(methods).map(([name, line]) => `${name}=${line}`),
];
const plain = (image: string) => ({
  get_size: `stat -Lc %s ${image}`,
  pread: `dd if=${image} iflag=skip_bytes,count_bytes,fullblock skip=$4 count=$3 status=none`,
});
const writable = (image: string) => ({
  ...plain(image),
  can_write: "exit 0",
  pwrite: `dd of=${image} oflag=seek_bytes conv=notrunc seek=$4 status=none`,
});

const odd = needing(tests, ["nbdkit", "nbdcopy", "nbdinfo", "nbdsh"]);

odd("a server that fails in the middle, and tells why", async ({ sandbox, image }) => {
  const { pread } = plain(image);
  const methods = {
    ...plain(image),
    pread: `[ $4 -lt ${2 * MIB} ] || { echo ENOMEM spoilt >&2; exit 1; }; ${pread}`,
  };
  const proxy = await overNbdkit(sandbox, evaluated(methods));
  const script = `
import errno, nbd
h = nbd.NBD()
h.connect_uri("${proxy.uri}")
expected = open("${image}", "rb").read(${2 * MIB})
assert h.pread(${MIB}, ${MIB}) == expected[${MIB}:]
try:
    h.pread(${2 * MIB}, ${MIB})
except nbd.Error as error:
    assert error.errnum == errno.ENOMEM, error
else:
    raise AssertionError("it did not fail")
assert h.pread(${2 * MIB}, 0) == expected
h.shutdown()`;
  await sandbox.run("/usr/bin/python3", ["-c", script]);
});

odd("a server that can write, but neither flush nor FUA, promises neither", async ({ sandbox, image }) => {
  const methods = { ...writable(image), can_flush: "exit 3", can_fua: "echo none" };
  const proxy = await overNbdkit(sandbox, evaluated(methods));
  const [info] = (
    JSON.parse(await sandbox.run("nbdinfo", ["--json", proxy.uri])) as { exports: Record<string, unknown>[] }
  ).exports;
  assert.is(info!.is_read_only, false);
  assert.is(info!.can_flush, false);
  assert.is(info!.can_fua, false);
  const other = sandbox.path("other.img");
  writeFileSync(other, pattern(SIZE, 2));
  await sandbox.run("nbdcopy", ["--request-size=1048576", other, proxy.uri]);
  assert.is(await sha256(image), await sha256(other));
});

odd("a server whose flush fails: the client gets its errno", async (context) => {
  const { sandbox, image } = context;
  const flush = "echo ENOSPC the disk is full >&2; exit 1";
  const proxy = await overNbdkit(sandbox, evaluated({ ...writable(image), can_flush: "exit 0", flush }));
  const script = join(root, "test/system/errno-of-remote.py");
  await sandbox.run("/usr/bin/python3", [script, proxy.uri, "ENOSPC", "flush"]);
});

odd("a server with an extent for each sector, more than one reply tells", async ({ sandbox, image }) => {
  const extents = `
    at=$(($4 / 512 * 512)); end=$(($4 + $3))
    while [ $at -lt $end ]; do
      [ $((at / 512 % 2)) = 0 ] && echo $at 512 || echo $at 512 hole,zero
      at=$((at + 512))
    done`;
  const bytes = readFileSync(image);
  for (let at = 512; at < SIZE; at += 1024) bytes.fill(0, at, at + 512);
  writeFileSync(image, bytes);
  const proxy = await overNbdkit(sandbox, evaluated({ ...plain(image), can_extents: "exit 0", extents }));
  const lines = (await map(sandbox, proxy.uri)).trim().split("\n");
  assert.is(lines.length, SIZE / 512);
  assert.match(lines[0]!, /^0 +512 +0 +data$/);
  assert.match(lines.at(-1)!, new RegExp(`${SIZE - 512} +512 +3 +hole,zero$`));
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [proxy.uri, copy]);
  assert.is(await sha256(copy), await sha256(image));
});

needing(tests, ["nbdkit"])(
  "a server with an export of no bytes is refused, in one line",
  async ({ sandbox }) => {
    const nbdkit = sandbox.start("nbdkit", ["--single", "null", "0"], { wire: true });
    const proxy = startProxy(sandbox);
    connectWires(nbdkit, proxy);
    assert.is(await within(20_000, "nbd-proxy", proxy.exit), 1);
    assert.match(proxy.stderr, /^nbd-proxy: .*empty.*\n$/);
  },
);

tests.run();

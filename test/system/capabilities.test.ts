import {
  closeSync,
  ftruncateSync,
  openSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite, until } from "../harness.ts";
import { attached, attachedAt, pattern, sha256, startProxy, throughGateway } from "./link.ts";
import { mapOf } from "./nbdinfo.ts";

const SIZE = 1 << 20;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("what an export can do");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** nbd-serve on a socket that nbdinfo and others start it with. */
const served = (...args: string[]) => ["--", "[", process.execPath, program("nbd-serve"), ...args, "-", "]"];

/** What `nbdinfo --json` says that can be done. */
async function can(sandbox: Sandbox, where: readonly string[]): Promise<string[]> {
  const output = await sandbox.run("nbdinfo", ["--json", ...where]);
  const [info] = (JSON.parse(output) as { exports: [Record<string, unknown>] }).exports;
  return Object.entries(info)
    .filter(([key, value]) => key.startsWith("can_") && value === true)
    .map(([key]) => key.slice("can_".length))
    .sort();
}

const READING = ["df", "multi_conn"];
const WRITING = ["df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero"];

needing(tests, ["nbdinfo"])(
  "nbdinfo of nbd-serve, and of it through a gateway",
  async ({ sandbox, image }) => {
    assert.equal(await can(sandbox, served(image)), READING);
    assert.equal(await can(sandbox, served("--writable", image)), WRITING);
    const { uri } = await throughGateway(sandbox, image, { writable: true });
    // The gateway reads ahead for those who ask it to.
    assert.equal(await can(sandbox, [uri]), ["cache", ...WRITING]);
  },
);

needing(tests, ["nbdinfo", "nbdsh"])(
  "a configuration that is read-only: nbdinfo and nbdsh find nothing that writes, and writes are refused",
  async ({ sandbox, image }) => {
    const before = await sha256(image);
    const { uri } = await throughGateway(sandbox, image, { writable: true, keys: { "read-only": true } });
    assert.equal(await can(sandbox, [uri]), ["cache", ...READING]);
    const script = [
      "import nbd, errno",
      "assert h.is_read_only()",
      "h.set_strict_mode(0)", // libnbd itself would refuse what the server does not offer
      "def refused(call):",
      "    try: call()",
      "    except nbd.Error as error: return error.errnum in (errno.EPERM, errno.EINVAL)",
      "assert refused(lambda: h.pwrite(b'x' * 512, 0))",
      "assert refused(lambda: h.trim(512, 0))",
      "assert refused(lambda: h.zero(512, 0))",
      "assert len(h.pread(512, 0)) == 512",
    ];
    await sandbox.run("nbdsh", ["-u", uri, "-c", script.join("\n")]);
    assert.is(await sha256(image), before);
  },
);

needing(tests, ["nbdinfo", "qemu-img"])(
  "nbdinfo --map and qemu-img map show the holes",
  async ({ sandbox, image }) => {
    truncateSync(image, 3 * SIZE);
    const map = await sandbox.run("nbdinfo", ["--map", ...served(image)]);
    const lines = map.trim().split("\n");
    assert.equal(
      lines.map((line) => line.trim().split(/\s+/)),
      [
        ["0", String(SIZE), "0", "data"],
        [String(SIZE), String(2 * SIZE), "3", "hole,zero"],
      ],
    );
    const { uri } = await throughGateway(sandbox, image);
    assert.is(await sandbox.run("nbdinfo", ["--map", uri]), map);
    const extents = JSON.parse(await sandbox.run("qemu-img", ["map", "--output=json", "-f", "raw", uri])) as {
      start: number;
      length: number;
      data: boolean;
    }[];
    assert.equal(
      extents.map(({ start, length, data }) => [start, length, data]),
      [
        [0, SIZE, true],
        [SIZE, 2 * SIZE, false],
      ],
    );
  },
);

needing(tests, ["qemu-io"])(
  "qemu-io reads, writes, zeroes, discards and flushes",
  async ({ sandbox, image }) => {
    truncateSync(image, SIZE + 100);
    const { uri } = await throughGateway(sandbox, image, { writable: true });
    const commands = [
      "write -P 0x61 65536 65536",
      "write -f -P 0x62 131072 4096",
      "write -z 65536 4096",
      "write -z -u 0 65536",
      "write -z -f 200000 5",
      "discard 262144 262144",
      "flush",
      "read -P 0 0 69632",
      "read -P 0x61 69632 61440",
      "read -P 0x62 131072 4096",
      "read -P 0 200000 5",
      "read -P 0 262144 262144",
      `write -P 0x63 ${SIZE} 100`,
      `read -P 0x63 ${SIZE} 100`,
    ];
    const output = await sandbox.run("qemu-io", [
      "-d",
      "unmap",
      "-f",
      "raw",
      ...commands.flatMap((command) => ["-c", command]),
      uri,
    ]);
    assert.not.match(output, /failed|error/i);
    assert.is(statSync(image).size, SIZE + 100);
    assert.ok(statSync(image).blocks * 512 < SIZE - 262144, "what was discarded is a hole of the file");
  },
);

needing(tests, ["nbdinfo"])(
  "a client that knows only the first generation's ways is served",
  async ({ sandbox, image }) => {
    const script = `
import nbd, sys
h = nbd.NBD()
h.set_handshake_flags(0)
h.set_request_structured_replies(False)
h.connect_command(sys.argv[1:])
assert h.get_size() == ${SIZE}
assert h.pread(5, ${SIZE - 5}) == open("${image}", "rb").read()[-5:]
h.shutdown()`;
    await sandbox.run("/usr/bin/python3", ["-c", script, process.execPath, program("nbd-serve"), image, "-"]);
  },
);

/** A server on a unix socket, once it listens, and nbd-proxy connected to it. */
async function proxyTo(
  sandbox: Sandbox,
  command: string,
  args: string[],
): Promise<Running & { uri: string; socket: Socket }> {
  const path = sandbox.path("server.sock");
  const server = sandbox.start(
    command,
    args.map((word) => word.replace("{}", path)),
  );
  let socket: Socket | undefined;
  await until("the server listens", async () => {
    if (server.process.exitCode !== null) throw new Error(server.stderr);
    socket = await new Promise<Socket | undefined>((resolve) => {
      const attempt = connect({ path }, () => resolve(attempt));
      attempt.on("error", () => resolve(undefined));
    });
    return socket !== undefined;
  });
  const proxy = startProxy(sandbox);
  proxy.process.stdout!.pipe(socket!).pipe(proxy.process.stdin!);
  proxy.process.stdin!.on("error", () => {});
  await attached(proxy);
  return Object.assign(proxy, { uri: attachedAt(sandbox).uri, socket: socket! });
}

needing(tests, ["qemu-nbd", "qemu-io", "nbdinfo"])(
  "what qemu-nbd can do goes through nbd-proxy, and is done",
  async ({ sandbox, image }) => {
    const { uri } = await proxyTo(sandbox, "qemu-nbd", [
      ...["--format=raw", "--discard=unmap", "--persistent", "--shared=1", "--socket={}", image],
    ]);
    const writing = await can(sandbox, [uri]);
    assert.equal(writing, ["cache", ...WRITING]);
    await sandbox.run("qemu-io", [
      ...[
        "-d",
        "unmap",
        "-f",
        "raw",
        "-c",
        "write -z -u 0 524288",
        "-c",
        "discard 524288 262144",
        "-c",
        "flush",
        uri,
      ],
    ]);
    assert.ok(statSync(image).blocks * 512 <= SIZE / 4 + 65536);
    assert.match(await sandbox.run("nbdinfo", ["--map", uri]), /^ +0 +786432 +3 +hole,zero$/m);
  },
);

const EXTENT = 4096;
const EXTENTS = 1 << 14;

/** As it is a file system that says where the holes are, they have the size of its blocks. */
function imageOfManyExtents(path: string): void {
  const file = openSync(path, "w");
  const data = pattern(EXTENT);
  for (let i = 0; i < EXTENTS; i += 2) writeSync(file, data, 0, EXTENT, i * EXTENT);
  ftruncateSync(file, EXTENTS * EXTENT);
  closeSync(file);
}

for (const [server, args] of [
  ["nbdkit", ["--foreground", "--readonly", "--unix={}", "file"]],
  ["qemu-nbd", ["--format=raw", "--read-only", "--persistent", "--shared=1", "--socket={}"]],
] as const) {
  needing(tests, [server, "nbdinfo"])(
    `${server} tells 16,384 extents at once: all come through, and are asked for in shorter ranges`,
    async ({ sandbox, image }) => {
      imageOfManyExtents(image);
      const { uri, socket } = await proxyTo(sandbox, server, [...args, image]);
      const before = socket.bytesRead;
      const map = await mapOf(sandbox, () => [uri]);
      const expected = Array.from({ length: EXTENTS }, (_, i) => [i * EXTENT, EXTENT, i % 2 ? 3 : 0]);
      assert.equal(map, expected);
      // The first answer has all of them, 8 bytes each. With as many in each of the next ones it would be nine times that.
      const received = socket.bytesRead - before;
      assert.ok(received > 8 * EXTENTS && received < 3 * 8 * EXTENTS, `${received} bytes`);
    },
  );
}

needing(tests, ["nbdkit", "nbdinfo"])(
  "errors of TRIM and WRITE_ZEROES come through with their errno, and what nbdkit lacks is lacking",
  async ({ sandbox, image }) => {
    const { uri } = await proxyTo(sandbox, "nbdkit", [
      ...["--foreground", "--unix={}", "--filter=error", "file", image],
      ...["error-trim=ENOSPC", "error-trim-rate=100%", "error-zero=EIO", "error-zero-rate=100%"],
      ...["error-extents=ENOMEM", "error-extents-rate=100%"],
    ]);
    const script = `
import nbd, errno
h = nbd.NBD()
h.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
h.connect_uri("${uri}")
def fails(what, number):
    try:
        what()
    except nbd.Error as error:
        assert error.errnum == number, (error.errnum, number)
    else:
        raise Exception("it did not fail")
fails(lambda: h.trim(512, 0), errno.ENOSPC)
fails(lambda: h.zero(512, 0), errno.EIO)
fails(lambda: h.block_status(512, 0, lambda *_: 0), errno.ENOMEM)
h.pwrite(b"x" * 512, 512, nbd.CMD_FLAG_FUA)
assert h.pread(512, 512) == b"x" * 512
h.shutdown()`;
    await sandbox.run("/usr/bin/python3", ["-c", script]);
  },
);

needing(tests, ["nbdkit", "qemu-io"])(
  "zeroes for a server that has no WRITE_ZEROES are written, also above the payload limit",
  async ({ sandbox }) => {
    const big = sandbox.path("big.img");
    writeFileSync(big, pattern(SIZE));
    truncateSync(big, 80 * SIZE);
    const before = await sha256(big);
    const { uri } = await proxyTo(sandbox, "nbdkit", [
      ...["--foreground", "--unix={}", "--filter=nozero", "--filter=blocksize-policy", "file", big],
      ...[
        "blocksize-minimum=1",
        "blocksize-maximum=64K",
        "blocksize-preferred=4096",
        "blocksize-error-policy=error",
      ],
    ]);
    await sandbox.run("qemu-io", ["-f", "raw", "-c", `write -P 7 ${SIZE} ${30 * SIZE}`, "-c", "flush", uri]);
    assert.is.not(await sha256(big), before);
    const zero = `
import nbd
h = nbd.NBD()
h.connect_uri("${uri}")
assert h.can_zero()
h.zero(40 << 20, 1 << 20)
h.flush()
h.shutdown()`;
    await sandbox.run("/usr/bin/python3", ["-c", zero]);
    assert.is(await sha256(big), before);
  },
);

tests.run();

import { writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, within } from "../harness.ts";
import { pattern, sha256 } from "./link.ts";
import { expectCan, mapOf, READING, WRITING } from "./nbdinfo.ts";

const SIZE = 1_000_003;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("nbd-serve FILE - on standard input and output");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

const serve = program("nbd-serve");
/** Debian's Python has libnbd's module, whatever other Python comes first in the path. */
const debian = { PATH: `/usr/bin:/bin:/usr/sbin:${process.env.PATH}` };

needing(tests, ["nbdinfo", "nbdcopy"])("nbdinfo [ nbd-serve FILE - ]", async ({ sandbox, image }) => {
  const captive = ["[", process.execPath, serve, image, "-", "]"];
  assert.is((await sandbox.run("nbdinfo", ["--size", ...captive])).trim(), String(SIZE));
  assert.match(await sandbox.run("nbdinfo", ["--list", ...captive]), /export="disk\.img":/);
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [...captive, copy]);
  assert.is(await sha256(copy), await sha256(image));
});

needing(tests, ["nbdinfo"])("nbdinfo --can, for each capability", async ({ sandbox, image }) => {
  const captive = (...args: string[]) => ["--", "[", process.execPath, serve, ...args, image, "-", "]"];
  await expectCan(sandbox, () => captive(), READING);
  await expectCan(sandbox, () => captive("--writable"), WRITING);
});

needing(tests, ["nbdinfo"])("nbdinfo --json, --list --json and --map", async ({ sandbox, image }) => {
  const captive = ["[", process.execPath, serve, image, "-", "]"];
  for (const list of [[], ["--list"]]) {
    const { protocol, exports } = JSON.parse(await sandbox.run("nbdinfo", ["--json", ...list, ...captive]));
    assert.is(protocol, "newstyle-fixed");
    assert.is(exports.length, 1);
    assert.is(exports[0]["export-name"], "disk.img");
    assert.is(exports[0]["export-size"], SIZE);
    assert.equal(exports[0].contexts, ["base:allocation"]);
  }
  assert.equal(await mapOf(sandbox, () => captive), [[0, SIZE, 0]]);
});

needing(tests, ["nbdcopy"])("nbdcopy FILE [ nbd-serve --writable FILE - ]", async ({ sandbox, image }) => {
  const other = sandbox.path("other.img");
  writeFileSync(other, pattern(SIZE, 2));
  await sandbox.run("nbdcopy", ["--", other, "[", process.execPath, serve, "--writable", image, "-", "]"]);
  assert.is(await sha256(image), await sha256(other));
});

needing(tests, ["nbdsh"])("nbdsh -c, over a socket pair", async ({ sandbox, image }) => {
  const command = JSON.stringify([process.execPath, serve, "--writable", image, "-"]);
  const script = [
    `h.connect_command(${command})`,
    "print(h.get_size(), h.is_read_only(), h.get_protocol())",
    "h.pwrite(b'hello', 4000)",
    "h.pwrite(b'world', 4005, nbd.CMD_FLAG_FUA)",
    "h.flush()",
    "print(h.pread(10, 4000).decode())",
    "h.shutdown()",
  ];
  const output = await sandbox.run(
    "nbdsh",
    script.flatMap((line) => ["-c", line]),
    { env: debian },
  );
  assert.is(output, `${SIZE} False newstyle-fixed\nhelloworld\n`);
});

needing(tests, ["socat", "nbdcopy"])(
  "under socat, over a socket pair and over two pipes",
  async ({ sandbox, image }) => {
    for (const [i, pipes] of ["", ",pipes"].entries()) {
      const socket = sandbox.path(`${i}.sock`);
      const relay = sandbox.start("socat", [
        `UNIX-LISTEN:${socket}`,
        `EXEC:"${process.execPath} ${serve} ${image} -"${pipes}`,
      ]);
      const copy = sandbox.path(`${i}.img`);
      const retry = [
        "-c",
        'for i in $(seq 100); do [ -S "$0" ] && break; sleep 0.05; done; exec nbdcopy "$1" "$2"',
      ];
      await sandbox.run("sh", [...retry, socket, `nbd+unix:///?socket=${socket}`, copy]);
      assert.is(await sha256(copy), await sha256(image));
      assert.is(await within(5000, "socat ends", relay.exit), 0);
    }
  },
);

// Without this nbd-serve would be silent about a relay whose nbd-proxy refuses its configuration.
tests("an end of input before a word is said is an error, in one line", async ({ sandbox, image }) => {
  const running = sandbox.start("sh", [
    "-c",
    `exec "$0" "$@" </dev/null >out`,
    process.execPath,
    serve,
    image,
    "-",
  ]);
  assert.is(await within(5000, "nbd-serve", running.exit), 1);
  assert.is(running.stderr, "nbd-serve: the other side left without reading; its log says why\n");
});

tests.run();

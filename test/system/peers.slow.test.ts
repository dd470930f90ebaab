import { mkdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, Sandbox, suite, until, within } from "../harness.ts";
import { pattern, sha256, throughGateway } from "./link.ts";

/** Not a multiple of 512, as nothing says that images are. */
const SIZE = 9_000_007;

/** What qemu makes of it, which counts in sectors; with simple replies it would lose its way at the end. */
const QEMU_SIZE = 9_000_448;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("stock NBD clients through nbd-serve and nbd-gateway");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** What nbdinfo must say of a read-only file. */
const expected = {
  "export-name": "disk.img",
  "export-size": SIZE,
  is_read_only: true,
  is_rotational: false,
  can_cache: true,
  can_df: true,
  can_multi_conn: true,
  can_fast_zero: false,
  can_flush: false,
  can_fua: false,
  can_trim: false,
  can_zero: false,
  block_size_minimum: 1,
  block_size_preferred: 4096,
  block_size_maximum: 32 << 20,
};

interface NbdInfo {
  protocol: string;
  TLS: boolean;
  exports: Record<string, unknown>[];
}

function pick(from: Record<string, unknown>, keys: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(keys).map((key) => [key, from[key]]));
}

needing(tests, ["nbdinfo"])("nbdinfo --json and --list", async ({ sandbox, image }) => {
  const { uri, socket } = await throughGateway(sandbox, image);
  for (const list of [[], ["--list"]]) {
    const info = JSON.parse(await sandbox.run("nbdinfo", ["--json", ...list, uri])) as NbdInfo;
    assert.is(info.protocol, "newstyle-fixed");
    assert.is(info.TLS, false);
    assert.is(info.exports.length, 1);
    assert.equal(pick(info.exports[0]!, expected), expected);
  }
  const byName = await sandbox.run("nbdinfo", ["--size", `nbd+unix:///disk.img?socket=${socket}`]);
  assert.is(byName.trim(), String(SIZE));
  const refused = sandbox.start("nbdinfo", [`nbd+unix:///other?socket=${socket}`]);
  assert.is.not(await within(10_000, "nbdinfo of another name", refused.exit), 0);
  assert.match(refused.stderr, /opt_go: server replied with error/);
});

needing(tests, ["nbdinfo"])("what is writable says so", async ({ sandbox, image }) => {
  const { uri } = await throughGateway(sandbox, image, { writable: true });
  const info = JSON.parse(await sandbox.run("nbdinfo", ["--json", uri])) as NbdInfo;
  const writable = {
    is_read_only: false,
    can_flush: true,
    can_fua: true,
    can_trim: true,
    can_zero: true,
    can_fast_zero: true,
  };
  assert.equal(pick(info.exports[0]!, writable), writable);
});

needing(tests, ["qemu-img"])("qemu-img info, compare and convert", async ({ sandbox, image }) => {
  const { uri } = await throughGateway(sandbox, image);
  const info = JSON.parse(await sandbox.run("qemu-img", ["info", "--output=json", uri])) as {
    format: string;
    "virtual-size": number;
  };
  assert.is(info.format, "raw");
  assert.is(info["virtual-size"], QEMU_SIZE);
  assert.match(await sandbox.run("qemu-img", ["compare", "-f", "raw", "-F", "raw", image, uri]), "identical");

  const copy = sandbox.path("copy.img");
  await sandbox.run("qemu-img", ["convert", "-f", "raw", "-O", "raw", uri, copy]);
  assert.is(statSync(copy).size, QEMU_SIZE);
  truncateSync(copy, SIZE);
  assert.is(await sha256(copy), await sha256(image));

  const qcow2 = sandbox.path("copy.qcow2");
  await sandbox.run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-c", uri, qcow2]);
  assert.match(
    await sandbox.run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", qcow2, uri]),
    "identical",
  );
});

needing(tests, ["nbdkit", "nbdcopy"])("nbdkit's nbd plugin on top", async ({ sandbox, image }) => {
  const { socket } = await throughGateway(sandbox, image);
  const top = sandbox.path("top.sock");
  const nbdkit = sandbox.start("nbdkit", [
    "--foreground",
    "--readonly",
    "--unix",
    top,
    "nbd",
    `socket=${socket}`,
  ]);
  await until("nbdkit listens", () => {
    if (nbdkit.process.exitCode !== null) throw new Error(nbdkit.stderr);
    return statSync(top, { throwIfNoEntry: false }) !== undefined;
  });
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${top}`, copy]);
  assert.is(await sha256(copy), await sha256(image));
});

needing(tests, ["nbdcopy"])("nbdcopy out of an export and into one", async ({ sandbox, image }) => {
  const { uri } = await throughGateway(sandbox, image, { writable: true });
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", ["--requests=64", "--request-size=1048576", uri, copy]);
  assert.is(await sha256(copy), await sha256(image));

  const other = sandbox.path("other.img");
  writeFileSync(other, pattern(SIZE, 2));
  await sandbox.run("nbdcopy", ["--flush", other, uri]);
  assert.is(await sha256(image), await sha256(other));
});

needing(tests, ["fio"])("fio writes, reads back and verifies", async ({ sandbox, image }) => {
  truncateSync(image, 16 << 20);
  const { uri, server } = await throughGateway(sandbox, image, { writable: true });
  const runs = [
    { bs: "512", iodepth: 1, size: "256k" },
    { bs: "4k", iodepth: 64, size: "8m" },
    { bs: "1000-70000", iodepth: 16, size: "8m" },
    { bs: "1m", iodepth: 32, size: "16m" },
    { bs: "4m", iodepth: 4, size: "16m" },
  ];
  for (const { bs, iodepth, size } of runs) {
    const unaligned = bs.includes("-");
    const output = await sandbox.run("fio", [
      "--name=verify",
      "--ioengine=nbd",
      `--uri=${uri}`,
      "--rw=randrw",
      unaligned ? `--bsrange=${bs}` : `--bs=${bs}`,
      ...(unaligned ? ["--bs_unaligned"] : []),
      `--iodepth=${iodepth}`,
      `--size=${size}`,
      "--verify=crc32c",
      "--verify_fatal=1",
      "--fsync=32",
      "--output-format=json",
    ]);
    const [job] = (
      JSON.parse(output.slice(output.indexOf("{"))) as {
        jobs: { error: number; read: Figures; write: Figures }[];
      }
    ).jobs;
    assert.is(job!.error, 0);
    assert.ok(job!.write.total_ios > 0 && job!.read.total_ios > 0, `${bs}: it read and wrote`);
  }
  assert.is(server.process.exitCode, null);
});

interface Figures {
  total_ios: number;
}

needing(tests, ["nbdfuse", "fusermount3", "genisoimage", "isoinfo"])(
  "nbdfuse shows an export as a file, and the ISO in it can be listed",
  async ({ sandbox }) => {
    const content = sandbox.path("content");
    mkdirSync(content);
    writeFileSync(`${content}/hello.txt`, "hello from the image\n");
    writeFileSync(`${content}/large.bin`, pattern(3_000_000));
    const iso = sandbox.path("disc.iso");
    await sandbox.run("genisoimage", ["-quiet", "-R", "-o", iso, content]);

    const { uri } = await throughGateway(sandbox, iso);
    const mountpoint = sandbox.path("mnt");
    mkdirSync(mountpoint);
    const nbdfuse = sandbox.start("nbdfuse", ["--readonly", mountpoint, uri]);
    const file = `${mountpoint}/nbd`;
    try {
      await until("nbdfuse is mounted", () => {
        if (nbdfuse.process.exitCode !== null) throw new Error(`nbdfuse: ${nbdfuse.stderr}`);
        return statSync(file, { throwIfNoEntry: false }) !== undefined;
      });
      assert.is(statSync(file).size, statSync(iso).size);
      const listing = await sandbox.run("isoinfo", ["-R", "-l", "-i", file]);
      assert.match(listing, /hello\.txt/);
      assert.match(listing, /3000000 .*large\.bin/);
      const text = await sandbox.run("isoinfo", ["-R", "-x", "/hello.txt", "-i", file]);
      assert.is(text, "hello from the image\n");
    } finally {
      await sandbox.run("fusermount3", ["-u", mountpoint]);
      await within(10_000, "nbdfuse ends", nbdfuse.exit);
    }
  },
);

needing(tests, ["nbd-client"])("nbd-client lists the exports of a TCP port", async ({ sandbox, image }) => {
  const { where } = await throughGateway(sandbox, image, { keys: { listen: "tcp:127.0.0.1:0" } });
  const port = /^tcp:127\.0\.0\.1:(\d+)$/.exec(where)?.[1];
  assert.ok(port && port !== "0", `the line says the real port: ${where}`);
  const listing = await sandbox.run("nbd-client", ["-l", "127.0.0.1", port!]);
  assert.match(listing, /^disk\.img$/m);
});

tests.run();

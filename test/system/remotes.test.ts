import { rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { needing, program, type Running, root, Sandbox, suite, until, within } from "../harness.ts";
import {
  attached,
  attachedAt,
  connectWires,
  pattern,
  sha256,
  startGateway,
  startProxy,
  writeConfig,
} from "./link.ts";

const SIZE = 6_000_128;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("servers that are not ours");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

const firstGeneration = join(root, "test/first-generation-server.js");

interface Seen {
  options: number[];
  commands: Record<string, number>;
  reads: number;
  longestRead: number;
  mostOutstanding: number;
  beyondTheEnd: number;
}

needing(tests, ["nbdcopy", "qemu-img", "fio"])(
  "a first-generation server is never asked for more than 128 KiB at a time or 512 KiB in all",
  async ({ sandbox, image }) => {
    const gateway = await startGateway(sandbox);
    const server = sandbox.start(firstGeneration, [image, gateway.url]);
    await attached(gateway);
    const { uri } = attachedAt(sandbox);

    const copy = sandbox.path("copy.img");
    const most = ["--requests=64", "--request-size=4194304"];
    await sandbox.run("nbdcopy", [...most, uri, copy]);
    assert.is(await sha256(copy), await sha256(image));
    rmSync(copy);
    await sandbox.run("qemu-img", ["convert", "-f", "raw", "-O", "raw", uri, copy]);
    assert.is(await sha256(copy), await sha256(image));
    const loads = ["--bs=1m", "--bs=4k"].map((size) =>
      sandbox.run("fio", [
        "--name=read",
        "--ioengine=nbd",
        `--uri=${uri}`,
        "--rw=randread",
        size,
        "--iodepth=64",
        "--size=4m",
      ]),
    );
    await Promise.all(loads);

    gateway.kill();
    assert.is(await within(5000, "nbd-gateway", gateway.exit), 0);
    assert.is(await within(5000, "the server", server.exit), 0);
    const seen = JSON.parse(server.stdout) as Seen;
    assert.is(seen.options.at(-1), 1, "EXPORT_NAME is the last resort");
    assert.is(seen.longestRead, 128 << 10);
    assert.ok(seen.mostOutstanding <= 512 << 10, `${seen.mostOutstanding} bytes outstanding`);
    assert.ok(seen.mostOutstanding > 384 << 10, "what may be outstanding is made use of");
    assert.is(seen.beyondTheEnd, 0);
    assert.equal(Object.keys(seen.commands), ["0", "2"], "it saw nothing but READ and DISC");
  },
);

/** Reads all of an export that nbd-proxy has attached, by nbdcopy, and ends the proxy in order. */
async function expectWhole(sandbox: Sandbox, proxy: Running, image: string) {
  await attached(proxy);
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", ["--requests=64", "--request-size=1048576", attachedAt(sandbox).uri, copy]);
  assert.is(await sha256(copy), await sha256(image));
  proxy.kill();
  assert.is(await within(10_000, "nbd-proxy", proxy.exit), 0);
}

/**
 * nbd-proxy whose wire is a connection to a socket, once somebody listens there. The first connection is the
 * one that is used: nbd-server -d takes no second one.
 */
async function proxyTo(sandbox: Sandbox, server: Running, address: NetConnectOpts, keys = {}) {
  let socket: Socket | undefined;
  await until("the server listens", async () => {
    if (server.process.exitCode !== null) throw new Error(server.stderr);
    socket = await connected(address);
    return socket !== undefined;
  });
  const proxy = startProxy(sandbox, keys);
  proxy.process.stdout!.pipe(socket!).pipe(proxy.process.stdin!);
  proxy.process.stdin!.on("error", () => {});
  return proxy;
}

function connected(address: NetConnectOpts): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address, () => resolve(socket));
    socket.on("error", () => resolve(undefined));
  });
}

needing(tests, ["nbdkit", "nbdcopy"])("nbdkit on standard input and output", async ({ sandbox, image }) => {
  const nbdkit = sandbox.start("nbdkit", ["--single", "--readonly", "file", image], { wire: true });
  const proxy = startProxy(sandbox);
  connectWires(nbdkit, proxy);
  await expectWhole(sandbox, proxy, image);
  assert.is(await within(2000, "nbdkit", nbdkit.exit), 0);
});

needing(tests, ["nbdkit", "socat", "nbdcopy"])(
  "nbdkit through socat, over a socket pair",
  async ({ sandbox, image }) => {
    const nbdkit = `nbdkit --single --readonly file ${image}`;
    const proxy = `${process.execPath} ${program("nbd-proxy")} --config ${writeConfig(sandbox)}`;
    const both = sandbox.start("socat", [`EXEC:"${nbdkit}"`, `EXEC:"${proxy}"`]);
    await attached(both);
    const copy = sandbox.path("copy.img");
    await sandbox.run("nbdcopy", [attachedAt(sandbox).uri, copy]);
    assert.is(await sha256(copy), await sha256(image));
  },
);

needing(tests, ["nbdkit", "nbdcopy", "nbdinfo"])(
  "nbdkit that insists on blocks of 512 bytes and at most 64 KiB, and takes its time",
  async ({ sandbox, image }) => {
    truncateSync(image, SIZE - (SIZE % 512));
    const path = sandbox.path("nbdkit.sock");
    const nbdkit = sandbox.start("nbdkit", [
      "--foreground",
      "--readonly",
      `--unix=${path}`,
      "--filter=blocksize-policy",
      "--filter=delay",
      "file",
      image,
      "blocksize-minimum=512",
      "blocksize-preferred=4096",
      "blocksize-maximum=64K",
      "blocksize-error-policy=error",
      "rdelay=5ms",
    ]);
    const proxy = await proxyTo(sandbox, nbdkit, { path });
    await attached(proxy);
    const info = JSON.parse(await sandbox.run("nbdinfo", ["--json", attachedAt(sandbox).uri])) as {
      exports: Record<string, number>[];
    };
    assert.is(info.exports[0]!.block_size_minimum, 1, "what is read unaligned is padded");
    assert.is(info.exports[0]!.block_size_preferred, 4096);
    await expectWhole(sandbox, proxy, image);
  },
);

needing(tests, ["nbdkit", "nbdcopy"])(
  "errors of nbdkit reach the local client, and the link lives on",
  async ({ sandbox, image }) => {
    const path = sandbox.path("nbdkit.sock");
    const trigger = sandbox.path("fail");
    const nbdkit = sandbox.start("nbdkit", [
      "--foreground",
      "--readonly",
      `--unix=${path}`,
      "--filter=error",
      "file",
      image,
      "error-pread=ENOMEM",
      "error-pread-rate=100%",
      `error-pread-file=${trigger}`,
    ]);
    const proxy = await proxyTo(sandbox, nbdkit, { path });
    await attached(proxy);
    writeFileSync(trigger, "");
    const failing = sandbox.start("nbdcopy", [attachedAt(sandbox).uri, "null:"]);
    assert.is.not(await within(10_000, "nbdcopy", failing.exit), 0);
    assert.match(failing.stderr, /Cannot allocate memory/);
    rmSync(trigger);
    await expectWhole(sandbox, proxy, image);
  },
);

needing(tests, ["nbd-server", "nbdcopy"])("nbd-server", async ({ sandbox, image }) => {
  const port = await freePort();
  // Without -d it goes into the background; with it, it takes a port only, and one client.
  const args = [`127.0.0.1:${port}`, image, "-r", "-d", "-C", "/dev/null"];
  const server = sandbox.start("nbd-server", args);
  await expectWhole(sandbox, await proxyTo(sandbox, server, { host: "127.0.0.1", port }), image);
});

needing(tests, ["nbd-server", "nbdcopy"])("nbd-server, to write", async ({ sandbox, image }) => {
  const port = await freePort();
  const server = sandbox.start("nbd-server", [`127.0.0.1:${port}`, image, "-d", "-C", "/dev/null"]);
  const proxy = await proxyTo(sandbox, server, { host: "127.0.0.1", port });
  await attached(proxy);
  const other = sandbox.path("other.img");
  writeFileSync(other, pattern(SIZE, 2));
  await sandbox.run("nbdcopy", [other, attachedAt(sandbox).uri]);
  assert.is(await sha256(image), await sha256(other));
  await expectWhole(sandbox, proxy, other);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

needing(tests, ["qemu-nbd", "nbdcopy"])("qemu-nbd, to read and to write", async ({ sandbox, image }) => {
  const path = sandbox.path("qemu-nbd.sock");
  const server = sandbox.start("qemu-nbd", ["--format=raw", "--persistent", `--socket=${path}`, image]);
  const proxy = await proxyTo(sandbox, server, { path });
  await attached(proxy);
  const other = sandbox.path("other.img");
  writeFileSync(other, pattern(statSync(image).size, 2));
  await sandbox.run("nbdcopy", ["--flush", other, attachedAt(sandbox).uri]);
  assert.is(await sha256(image), await sha256(other));
  await expectWhole(sandbox, proxy, other);
});

tests.run();

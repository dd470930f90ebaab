/** What clients may not ask for, in their own words, and in bytes where libnbd would not send them. */
import { truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { hex, toHex } from "../bytes.ts";
import { needing, program, root, Sandbox, suite, until, within } from "../harness.ts";
import { FLAGS, GO, GREETING, request } from "../nbd/words.ts";
import { attached, attachedAt, connectWires, pattern, startProxy, throughGateway } from "./link.ts";

/** More than 4 GiB, so that the longest commands fit. */
const SIZE = 5 * 2 ** 30 + 7;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("good and forbidden requests");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(1 << 20));
  truncateSync(context.image, SIZE);
});
tests.after.each(({ sandbox }) => sandbox.end());

type Outcomes = Record<string, string>;

async function outcomesOf(sandbox: Sandbox, part: string, server: readonly string[]): Promise<Outcomes> {
  const script = join(root, "test/system/forbidden.py");
  return JSON.parse(await sandbox.run("/usr/bin/python3", [script, part, ...server])) as Outcomes;
}

const captive = (image: string, ...args: string[]) => [
  ...[process.execPath, program("nbd-serve"), ...args, image, "-"],
];

const options: Outcomes = {
  "INFO of an unknown export": "ENOENT",
  "GO of an unknown export": "ENOENT",
  "GO of an unknown export, again": "ENOENT",
  "LIST after it": "ok",
  "INFO of the export's own name": "ok",
  "SET_META_CONTEXT again, of one that there is not": "ok",
  LIST_META_CONTEXT: "ok",
  "a command before GO, which libnbd does not send": "EINVAL",
  "GO after all that": "ok",
  "INFO after GO, which libnbd does not send": "EINVAL",
  "BLOCK_STATUS of what was selected last": "ok",
  ABORT: "ok",
};

const reading: Outcomes = {
  "READ of the last byte": "ok",
  "READ of nothing": "ok",
  "READ across the end": "EINVAL",
  "READ behind the end": "EINVAL",
  "READ at 2^63": "EINVAL",
  "READ at 2^64 - 1": "EINVAL",
  "READ of 32 MiB": "ok",
  "READ of 32 MiB and a byte": "EINVAL",
  "READ of 64 MiB": "EINVAL",
  "READ with an unknown flag": "EINVAL",
  "READ with DF": "ok",
  "READ with NO_HOLE": "EINVAL",
  "READ with REQ_ONE": "EINVAL",
  "READ with FUA": "ok",
  CACHE: "EINVAL",
  "BLOCK_STATUS of 4 GiB - 1": "ok",
  "BLOCK_STATUS of 4 GiB - 1 to the end": "ok",
  "BLOCK_STATUS of 4 GiB - 1 across the end": "EINVAL",
  "BLOCK_STATUS with REQ_ONE": "ok",
  "BLOCK_STATUS of nothing": "EINVAL",
  "BLOCK_STATUS across the end": "EINVAL",
  "BLOCK_STATUS with DF": "EINVAL",
  "READ with DF, with simple replies": "EINVAL",
  "BLOCK_STATUS, with simple replies": "EINVAL",
};

const writing: Outcomes = {
  WRITE: "ok",
  "WRITE of the last byte, with FUA": "ok",
  "WRITE of nothing": "ok",
  "WRITE across the end": "ENOSPC",
  "WRITE at 2^64 - 1": "ENOSPC",
  "WRITE of 32 MiB": "ok",
  "WRITE of 32 MiB and a byte": "EINVAL",
  "WRITE with an unknown flag": "EINVAL",
  "WRITE with NO_HOLE": "EINVAL",
  FLUSH: "ok",
  "FLUSH with an unknown flag": "EINVAL",
  TRIM: "ok",
  "TRIM with FUA": "ok",
  "TRIM with FAST_ZERO": "EINVAL",
  "TRIM of 4 GiB - 1": "ok",
  "TRIM across the end": "EINVAL",
  WRITE_ZEROES: "ok",
  "WRITE_ZEROES with each flag": "ok",
  "WRITE_ZEROES of 4 GiB - 1": "ok",
  "WRITE_ZEROES with DF": "EINVAL",
  "WRITE_ZEROES across the end": "ENOSPC",
};

/** A read-only export has neither FUA nor FLUSH, and whatever would write is EPERM. */
const readOnly: Outcomes = {
  ...reading,
  "READ with FUA": "EINVAL",
  ...Object.fromEntries(
    Object.keys(writing).map((name) => [name, name.startsWith("FLUSH") ? "EINVAL" : "EPERM"]),
  ),
};

/** A proxy reads ahead for those who ask it to. */
const proxied: Outcomes = { CACHE: "ok" };

const nbdsh = needing(tests, ["nbdsh"]);

nbdsh("libnbd to nbd-serve on standard input and output", async ({ sandbox, image }) => {
  assert.equal(await outcomesOf(sandbox, "options", captive(image)), options);
  assert.equal(await outcomesOf(sandbox, "read-only", captive(image)), readOnly);
  assert.equal(await outcomesOf(sandbox, "writable", captive(image, "--writable")), {
    ...reading,
    ...writing,
  });
});

nbdsh("libnbd to nbd-gateway, read-only", async ({ sandbox, image }) => {
  const { uri } = await throughGateway(sandbox, image);
  assert.equal(await outcomesOf(sandbox, "options", [uri]), options);
  assert.equal(await outcomesOf(sandbox, "read-only", [uri]), { ...readOnly, ...proxied });
});

nbdsh("libnbd to nbd-gateway, writable", async ({ sandbox, image }) => {
  const { uri } = await throughGateway(sandbox, image, { writable: true });
  assert.equal(await outcomesOf(sandbox, "writable", [uri]), { ...reading, ...writing, ...proxied });
});

needing(tests, ["nbdsh", "nbdkit"])(
  "libnbd to nbd-proxy, whose server insists on blocks of 512 bytes",
  async ({ sandbox, image }) => {
    truncateSync(image, SIZE - 7);
    const nbdkit = sandbox.start(
      "nbdkit",
      [
        ...["--single", "--filter=blocksize-policy", "file", image, "blocksize-error-policy=error"],
        ...["blocksize-minimum=512", "blocksize-preferred=4096", "blocksize-maximum=1M"],
      ],
      { wire: true },
    );
    const proxy = startProxy(sandbox);
    connectWires(nbdkit, proxy);
    await attached(proxy);
    assert.equal(await outcomesOf(sandbox, "aligned", [attachedAt(sandbox).uri]), {
      "READ of half a block": "EINVAL",
      "READ from the middle of a block": "EINVAL",
      "WRITE of half a block": "EINVAL",
      "WRITE from the middle of a block": "EINVAL",
      "TRIM of half a block": "EINVAL",
      "WRITE_ZEROES of half a block": "EINVAL",
      "BLOCK_STATUS of half a block": "EINVAL",
      "WRITE of a block": "ok",
    });
  },
);

/* What libnbd does not send. */

const greeting = toHex(hex(GREETING));
const flags = hex(FLAGS);
const go = hex(GO);
const read = hex(request(0, 1, 0, 512));
/** The answer to GO is its size and flags, and an ACK. */
const accepted = /^0003e889045565a90000000700000003[0-9a-f]+0003e889045565a9000000070000000100000000/;

for (const [what, words, expected, reason] of [
  ["a READ before GO", [flags, read], /^$/, /began with 0x25609513/],
  ["GO after GO", [flags, go, go], accepted, /began with 0x49484156/],
  ["an option before the flags", [go], /^$/, /the client set unknown flags, 0x49484156/],
] as const) {
  tests(`${what} ends the connection, with nothing served: nbd-serve`, async ({ sandbox, image }) => {
    const server = sandbox.start(program("nbd-serve"), [image, "-"], { wire: true });
    let said = "";
    server.process.stdout!.on("data", (chunk: Buffer) => {
      said += chunk.toString("hex");
    });
    server.process.stdin!.on("error", () => {});
    server.process.stdin!.write(Buffer.concat([...words, new Uint8Array(28)]));
    assert.is(await within(20_000, "nbd-serve", server.exit), 1);
    assert.match(server.stderr, reason);
    assert.is(said.slice(0, greeting.length), greeting);
    const rest = said.slice(greeting.length);
    assert.match(rest, expected);
    assert.is(rest.replace(expected, ""), "");
  });

  tests(`${what} ends the connection, and no other: nbd-gateway`, async ({ sandbox, image }) => {
    const { socket } = await throughGateway(sandbox, image);
    for (let i = 0; i < 2; i++) {
      const client = connect(socket);
      let said = "";
      let ended = false;
      client.on("data", (chunk) => {
        said += chunk.toString("hex");
      });
      for (const event of ["end", "error", "close"]) {
        client.on(event, () => {
          ended = true;
        });
      }
      client.write(Buffer.concat([...words, new Uint8Array(28)]));
      await until("the gateway hangs up", () => ended);
      client.destroy();
      const rest = said.slice(greeting.length);
      assert.match(rest, expected);
      assert.is(rest.replace(expected, ""), "");
    }
  });
}

tests.run();

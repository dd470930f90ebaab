/** nbd-serve behind a relay that takes no long messages. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { WebSocketServer } from "ws";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { webSocket } from "../../src/transport/websocket.ts";
import { program, Sandbox, suite, within } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";

const tests = suite<{ sandbox: Sandbox }>("nbd-serve and relays that take no long messages");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const SIZE = 1 << 20;
const LONGEST = 1 << 16;

/** nbd-serve with these options at such a relay, of which all is read. */
async function read(sandbox: Sandbox, ...options: string[]) {
  const image = sandbox.path("image");
  const digest = await randomImage(image, SIZE);
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: LONGEST });
  await once(relay, "listening");
  const url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`;
  let longest = 0;
  const reading = once(relay, "connection").then(async ([socket]) => {
    socket.on("message", (data: Buffer) => {
      longest = Math.max(longest, data.byteLength);
    });
    const remote = await nbdClient(webSocket(socket));
    const bytes = await remote.read(0, SIZE);
    await remote.close();
    return bytes;
  });
  reading.catch(() => {});
  const server = sandbox.start(program("nbd-serve"), [...options, "--quiet", image, url]);
  const status = await within(20_000, "nbd-serve", server.exit);
  relay.close();
  return { url, digest, reading, longest: () => longest, status, stderr: server.stderr };
}

tests("refused, it says how long the message was, and which option helps", async ({ sandbox }) => {
  const { url, status, stderr } = await read(sandbox);
  assert.is(status, 1);
  const [, where, length] =
    /^nbd-serve: (\S+): the other side refused a message of (\d+) bytes as too long; use --max-message with fewer bytes\n$/.exec(
      stderr,
    ) ?? [];
  assert.is(where, url, stderr);
  assert.ok(Number(length) > LONGEST);
});

tests("with --max-message all is read, in messages that are no longer", async ({ sandbox }) => {
  const { digest, reading, longest, status, stderr } = await read(sandbox, "--max-message", String(LONGEST));
  assert.is(stderr, "");
  assert.is(status, 0);
  const copy = sandbox.path("copy");
  await writeFile(copy, await reading);
  assert.is(await sha256(copy), digest);
  assert.is(longest(), LONGEST);
});

for (const [args, words] of [
  [
    ["--max-message", "63", "image", "ws://127.0.0.1:9/"],
    '--max-message needs a whole number of bytes from 64 to 33554496, not "63"',
  ],
  [
    ["--max-message", "64k", "image", "ws://127.0.0.1:9/"],
    '--max-message needs a whole number of bytes from 64 to 33554496, not "64k"',
  ],
  [["--max-message", "64", "image", "-"], "--max-message is for a URL"],
  [
    ["--retry=2147484", "image", "ws://127.0.0.1:9/"],
    '--retry needs a whole number of seconds from 0 to 2147483, not "2147484"',
  ],
] as const) {
  tests(`refused: ${args.join(" ")}`, async ({ sandbox }) => {
    const server = sandbox.start(program("nbd-serve"), args);
    assert.is(await within(10_000, "nbd-serve", server.exit), 1);
    assert.is(server.stderr, `nbd-serve: ${words}\n`);
  });
}

tests.run();

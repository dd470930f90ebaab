import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, constants, openSync, write } from "node:fs";
import { promisify } from "node:util";
import * as assert from "uvu/assert";
import { type PipeInput, pipeInput } from "../../src/node/pipe-input.ts";
import { giveBack, isLent } from "../../src/streams/lent.ts";
import { Sandbox, suite, until, within } from "../harness.ts";

const tests = suite<{ sandbox: Sandbox; input: PipeInput; output: number }>("what comes out of a pipe");

const writeTo = promisify(write);

tests.before.each((context) => {
  const sandbox = new Sandbox();
  const path = sandbox.path("pipe");
  execFileSync("mkfifo", [path]);
  context.sandbox = sandbox;
  context.input = pipeInput(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  context.output = openSync(path, "w");
});
tests.after.each(async ({ sandbox, input }) => {
  input.stream.destroy();
  await sandbox.end();
});

/** Writes all of it, waiting for the reader where the pipe is full. */
async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) at += (await writeTo(fd, bytes, at)).bytesWritten;
}

tests("all bytes come in order, whether chunks are given back or kept", async ({ input, output }) => {
  const sent = randomBytes(20_000_003);
  const sending = writeAll(output, sent).then(() => closeSync(output));
  const received = createHash("sha256");
  const kept: { chunk: Uint8Array; was: Buffer }[] = [];
  let count = 0;
  for await (const chunk of input.readable) {
    received.update(chunk);
    if (count++ % 3 === 0) kept.push({ chunk, was: Buffer.from(chunk) });
    else giveBack(chunk);
  }
  await sending;
  assert.is(received.digest("hex"), createHash("sha256").update(sent).digest("hex"));
  assert.ok(
    kept.every(({ chunk, was }) => was.equals(chunk)),
    "what is kept stays as it is",
  );
});

tests("long chunks are lent, and short ones hold no more than themselves", async ({ input, output }) => {
  const reader = input.readable.getReader();
  await writeAll(output, randomBytes(28));
  const short = (await reader.read()).value!;
  assert.is(isLent(short), false);
  assert.is(short.buffer.byteLength, 28);
  await writeAll(output, randomBytes(60_000));
  assert.ok(isLent((await reader.read()).value!));
});

tests("a pipe that nobody reads from is paused", async ({ input, output }) => {
  let written = 0;
  const sending = (async () => {
    for (;;) written += (await writeTo(output, Buffer.alloc(1 << 16))).bytesWritten;
  })();
  sending.catch(() => {});
  await until("it is paused", () => input.stream.isPaused());
  const before = written;
  const reader = input.readable.getReader();
  await until("it goes on when it is read", async () => {
    await reader.read();
    return written > before + (1 << 20);
  });
  await reader.cancel();
  await within(
    10_000,
    "the writer's end",
    sending.catch(() => {}),
  );
});

tests("a reader that wants no more closes the pipe", async ({ input, output }) => {
  await input.readable.cancel();
  await until("it is closed", () => input.stream.closed);
  assert.is(await writeTo(output, "x").catch(({ code }) => code), "EPIPE");
});

tests.run();

import { closeSync, constants, openSync } from "node:fs";
import * as assert from "uvu/assert";
import { enlarged, enlargePipe } from "../../src/node/pipe-size.ts";
import { Sandbox, suite } from "../harness.ts";

const tests = suite("the pipes to a relay");

tests("a pipe holds 1 MiB then; what is no pipe is left alone", async () => {
  const sandbox = new Sandbox();
  await sandbox.run("mkfifo", [sandbox.path("pipe")]);
  const pipe = openSync(sandbox.path("pipe"), constants.O_RDWR | constants.O_NONBLOCK);
  const file = openSync(sandbox.path("file"), "w");
  try {
    assert.is(await enlargePipe(pipe), 1 << 20);
    assert.is(await enlargePipe(file), undefined);
  } finally {
    for (const fd of [pipe, file]) closeSync(fd);
    await sandbox.end();
  }
});

tests("a pipe that is closed meanwhile, as where a session ends at once, is no failure", async () => {
  const sandbox = new Sandbox();
  await sandbox.run("mkfifo", [sandbox.path("pipe")]);
  const pipe = openSync(sandbox.path("pipe"), constants.O_RDWR | constants.O_NONBLOCK);
  const size = enlargePipe(pipe);
  closeSync(pipe);
  assert.is(await size, undefined);
  await sandbox.end();
});

tests("as much as is allowed, and never less than before", () => {
  for (const [before, allowed, after] of [
    [1 << 16, 1 << 18, 1 << 18],
    [1 << 16, 0, 1 << 16],
    [1 << 21, 1 << 22, 1 << 21],
  ] as const) {
    const calls = {
      getPipeSize: () => before,
      setPipeSize(_fd: number, bytes: number) {
        if (bytes > allowed) throw new Error("EPERM");
        return bytes;
      },
    };
    assert.is(enlarged(7, calls), after);
  }
});

tests.run();

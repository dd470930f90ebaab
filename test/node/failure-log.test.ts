import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../src/export/error.ts";
import { failureLog } from "../../src/node/failure-log.ts";

const tests = suite("the log of failures");

const read = { command: "READ", offset: 512, length: 4096 };
const broken = new ExportError(Errno.EIO, "a bad sector");

tests("the first at once, then one every 10 s, with the number of those left out", () => {
  const lines: string[] = [];
  let time = 1000;
  const log = failureLog(
    (line) => lines.push(line),
    () => time,
  );
  for (let i = 0; i < 500; i++) log.add(broken, read);
  assert.equal(lines.splice(0), ["READ of 4096 bytes at 512 failed: a bad sector"]);
  time += 10_000;
  log.add(new Error("no answer"), { command: "FLUSH", offset: 0, length: 0 });
  assert.equal(lines.splice(0), [
    "FLUSH failed: no answer; 499 more requests have failed since the last line",
  ]);
  log.end();
  log.add(broken, read);
  log.end();
  log.end();
  assert.equal(lines, ["1 more request has failed"]);
});

tests("what an export refuses is no failure of its medium", () => {
  const lines: string[] = [];
  const log = failureLog((line) => lines.push(line));
  for (const errno of [Errno.ENOTSUP, Errno.EINVAL, Errno.ESHUTDOWN])
    log.add(new ExportError(errno, "no"), read);
  assert.equal(lines, []);
  log.add(new ExportError(Errno.ENOSPC, "the disk is full"), { ...read, command: "WRITE" });
  assert.equal(lines, ["WRITE of 4096 bytes at 512 failed: the disk is full"]);
});

tests.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fileIdentity } from "../../../src/node/resuming/file-identity.ts";
import type { OwnWrites } from "../../../src/node/resuming/own-writes.ts";

const tests = suite("what a gateway is told of a file");

const handle = { stat: async () => ({ isFile: () => true, size: 512, mtimeMs: 17 }) as never };
const options = { name: "disk.img", size: 512 };
const changedAt = (at: number) =>
  ({ isAnotherFile: false, othersChangedAt: async () => at }) as unknown as OwnWrites;

tests("the time of a file that is only read", async () => {
  assert.equal(await fileIdentity(handle, options), { name: "disk.img", modified: 17, changed: undefined });
});

tests("when another program has changed a file that is written to", async () => {
  const { changed } = await fileIdentity(handle, { ...options, writes: changedAt(0) });
  assert.is(changed, "disk.img was changed by another program, at 1970-01-01T00:00:00.000Z");
});

tests("a time that is no date is left out", async () => {
  const { changed } = await fileIdentity(handle, { ...options, writes: changedAt(1e17) });
  assert.is(changed, "disk.img was changed by another program");
});

tests.run();

/** Runs in User-Mode Linux: see machine.ts. */
import { writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { Sandbox, suite } from "../../harness.ts";
import { pattern, sha256, throughGateway } from "../link.ts";

const tests = suite<{ sandbox: Sandbox }>("a kernel device");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

tests("what is read from it is what is in the file", async ({ sandbox }) => {
  const image = sandbox.path("disk.img");
  writeFileSync(image, pattern(20_000_256));
  const { where, gateway } = await throughGateway(sandbox, image, {
    keys: { listen: undefined, "nbd-device": "/dev/nbd0" },
  });
  assert.is(where, "/dev/nbd0");
  console.log(gateway.stderr);
  const copy = sandbox.path("copy");
  console.log(await sandbox.run("dd", ["if=/dev/nbd0", `of=${copy}`, "bs=1M"]));
  assert.is(await sha256(copy), await sha256(image));
  gateway.kill();
  console.log(await gateway.exit, gateway.stderr);
});
tests.run();

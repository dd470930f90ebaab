/** A gateway and nbd-serve with a relay between them that cuts the link, or goes silent, while libnbd reads. */
import * as assert from "uvu/assert";
import { needing, Sandbox, suite } from "../../harness.ts";
import { randomImage, sha256 } from "../../image.ts";
import { throughRelay } from "./through-relay.ts";

const tests = suite<{ sandbox: Sandbox }>("a lost link");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

needing(tests, ["nbdcopy"])("a copy goes on when the link is cut again and again", async ({ sandbox }) => {
  const [image, copy] = [sandbox.path("disk.img"), sandbox.path("copy.img")];
  await randomImage(image, 64 << 20);
  const { uri, relay, server, gateway } = await throughRelay(sandbox, image, { keys: { resume: 60 } });
  // Often enough that some cut falls into the copy, wherever it is quick.
  const cutting = setInterval(() => relay.cut(), 300);
  try {
    await sandbox.run("nbdcopy", [uri, copy]);
  } finally {
    clearInterval(cutting);
  }
  assert.is(await sha256(copy), await sha256(image));
  assert.ok(relay.connections > 1, `${relay.connections} connections: ${gateway.stderr}\n${server.stderr}`);
});

tests.run();

/** fio on the gateway's unix socket, while the link is cut, or goes silent. RESUME_SECONDS has each test go on for so long. */
import { truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, Sandbox, suite, until, within } from "../../harness.ts";
import { sha256 } from "../../image.ts";
import { hookCalls, writeHook } from "../kernel/guest.ts";
import { loadWhile } from "./load-while.ts";
import { cutEvery, silentFor } from "./spoiled-link.ts";
import { throughRelay } from "./through-relay.ts";

const tests = suite<{ sandbox: Sandbox }>("a lost link under load");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Seconds without an answer after which a link is lost. */
const TIMEOUT = 3;

for (const [what, spoil, least] of [
  ["cut every 2 s", cutEvery(2000), 5],
  ["silent for longer than the timeout", silentFor((TIMEOUT + 6) * 1000), 1],
] as const) {
  needing(tests, ["fio", "nbdcopy"])(`${what}: fio verifies what it wrote`, async ({ sandbox }) => {
    const [image, copy] = [sandbox.path("disk.img"), sandbox.path("copy.img")];
    writeFileSync(image, "");
    truncateSync(image, 16 << 20);
    writeHook(sandbox);
    const keys = { timeout: TIMEOUT, resume: 120 };
    const scene = await throughRelay(sandbox, image, { writable: true, keys });
    const load = ["--ioengine=nbd", `--uri=${scene.uri}`, "--size=3m", "--rate_iops=100,100"];
    await loadWhile(sandbox, scene, { spoil, least, load });

    await sandbox.run("nbdcopy", [scene.uri, copy]);
    scene.gateway.kill("SIGTERM");
    assert.is(await within(10_000, "the gateway's end", scene.gateway.exit), 0, scene.gateway.stderr);
    assert.is(await sha256(copy), await sha256(image));
    await until("the hook has said stop", () => hookCalls(sandbox).length >= 2);
    assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
  });
}

tests.run();

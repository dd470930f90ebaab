/** A client that waits for the next session: qemu with `reconnect-delay`, as the README has it. */
import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { pattern, throughGateway } from "./link.ts";
import { PatientQemu } from "./patient-qemu.ts";

const tests = suite<{ sandbox: Sandbox }>("the next session");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

needing(tests, ["qemu-io"])("qemu with reconnect-delay reads on when it is there", async ({ sandbox }) => {
  const image = sandbox.path("disk.img");
  writeFileSync(image, pattern(1 << 20).fill(0x61, 1 << 16, 1 << 17));
  const { gateway, server, socket } = await throughGateway(sandbox, image, { keys: { resume: 0 } });
  const qemu = new PatientQemu(sandbox, socket);

  qemu.read("64k");
  await until("a read in the first session", () => qemu.answers.length === 1);
  server.kill("SIGKILL");
  await until("the socket is gone", () => !existsSync(socket));
  qemu.read("100k");
  const url = gateway.stdout.trim().replace(/^http/, "ws");
  sandbox.start(program("nbd-serve"), [image, url]);
  await until("a read in the second session", () => qemu.answers.length === 2, 60_000);
  assert.is(await qemu.quit(), 0);
  assert.match(
    qemu.answers.join("\n"),
    /^.*read 4096\/4096 bytes at offset 65536\n.*read 4096\/4096 bytes at offset 102400$/,
  );
});

tests.run();

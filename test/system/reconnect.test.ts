/** A client that waits for the next session: qemu with `reconnect-delay`, as the README has it. */
import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, until, within } from "../harness.ts";
import { pattern, throughGateway } from "./link.ts";

const tests = suite<{ sandbox: Sandbox }>("the next session");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

needing(tests, ["qemu-io"])("qemu with reconnect-delay reads on when it is there", async ({ sandbox }) => {
  const image = sandbox.path("disk.img");
  writeFileSync(image, pattern(1 << 20).fill(0x61, 1 << 16, 1 << 17));
  const { gateway, server, socket } = await throughGateway(sandbox, image, { keys: { resume: 1 } });
  const disk = `driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=${socket},file.reconnect-delay=60`;
  const qemu = sandbox.start("qemu-io", ["-r", "--image-opts", disk], { wire: true });
  let output = "";
  qemu.process.stdout!.on("data", (text) => {
    output += text;
  });
  const read = (offset: string) => qemu.process.stdin!.write(`read -P 0x61 ${offset} 4k\n`);
  const answers = () => output.match(/^.*(?:read 4096\/4096 bytes|failed|error).*$/gm) ?? [];

  read("64k");
  await until("a read in the first session", () => answers().length === 1);
  server.kill("SIGKILL");
  await until("the socket is gone", () => !existsSync(socket));
  read("100k");
  const url = gateway.stdout.trim().replace(/^http/, "ws");
  sandbox.start(program("nbd-serve"), [image, url]);
  await until("a read in the second session", () => answers().length === 2, 60_000);
  qemu.process.stdin!.end("quit\n");
  assert.is(await within(10_000, "the end of qemu-io", qemu.exit), 0);
  assert.match(
    answers().join("\n"),
    /^.*read 4096\/4096 bytes at offset 65536\n.*read 4096\/4096 bytes at offset 102400$/,
  );
});

tests.run();

/** Servers of others, which cannot show who they are, at a gateway that waits for lost links. */
import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { connectExport } from "../../../src/node/connect-export.ts";
import { needing, Sandbox, suite, until, within } from "../../harness.ts";
import { attached, attachedAt, type Entry, pattern, startGateway } from "../link.ts";
import { bridge } from "./websocket-to-unix.ts";

const SIZE = 1 << 20;

const tests = suite<{ sandbox: Sandbox }>("a foreign server whose link is cut");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  writeFileSync(context.sandbox.path("disk.img"), pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

type Start = (sandbox: Sandbox, image: string, socket: string) => void;

const servers: Readonly<Record<string, Start>> = {
  nbdkit: (sandbox, image, socket) => sandbox.start("nbdkit", ["-f", "-U", socket, "file", image]),
  "qemu-nbd": (sandbox, image, socket) =>
    sandbox.start("qemu-nbd", ["-t", "-e", "8", "-f", "raw", "-k", socket, image]),
};

/** Starts a server, and a gateway that it serves to. */
async function start(sandbox: Sandbox, serve: Start, keys: Entry) {
  const socket = sandbox.path("server.sock");
  serve(sandbox, sandbox.path("disk.img"), socket);
  await until("it listens", () => existsSync(socket));
  const gateway = await startGateway(sandbox, keys);
  const link = bridge(gateway.url, socket);
  await attached(gateway);
  const disk = await connectExport(attachedAt(sandbox).uri);
  return { gateway, socket, link, disk };
}

const sector = (at: number) => pattern(SIZE).subarray(at, at + 512);

for (const [name, serve] of Object.entries(servers)) {
  const peers = needing(tests, [name]);

  peers(
    `${name}, read-only with resume-foreign: it goes on; with another size it is refused`,
    async ({ sandbox }) => {
      const keys = { resume: 120, "read-only": true, "resume-foreign": true };
      const { gateway, socket, link, disk } = await start(sandbox, serve, keys);
      link.cut();
      await until("the gateway waits", () => /the link is lost/.test(gateway.stderr));
      const reading = disk.read(SIZE - 512, 512);

      const shorter = sandbox.path("shorter.img");
      writeFileSync(shorter, pattern(SIZE).subarray(0, SIZE - 4096));
      const other = sandbox.path("other.sock");
      serve(sandbox, shorter, other);
      await until("the other one listens", () => existsSync(other));
      assert.is(await within(20_000, "the refusal", bridge(gateway.url, other).closed), 4003);
      const told = `refused: this is another medium than the one in use: it has ${SIZE - 4096} bytes in place of ${SIZE}`;
      assert.match(gateway.stderr, told);

      bridge(gateway.url, socket);
      assert.equal(Buffer.from(await within(20_000, "the read", reading)), sector(SIZE - 512));
      assert.match(gateway.stderr, /the link is back/);
      await disk.close();
    },
  );

  for (const [what, keys] of [
    ["without resume-foreign", { "read-only": true }],
    ["writable", { "resume-foreign": true }],
  ] as const) {
    peers(`${name}, ${what}: its session ends with the link`, async ({ sandbox }) => {
      const { gateway, socket, link, disk } = await start(sandbox, serve, { resume: 120, ...keys });
      link.cut();
      await until("the socket is gone", () => !existsSync(attachedAt(sandbox).socket));
      assert.not.match(gateway.stderr, /the disk waits/);
      await disk.close().catch(() => {});
      // The next session begins anew.
      bridge(gateway.url, socket);
      await until("it is served again", () => existsSync(attachedAt(sandbox).socket));
      const next = await connectExport(attachedAt(sandbox).uri);
      assert.equal(Buffer.from(await next.read(4096, 512)), sector(4096));
      await next.close();
    });
  }
}

tests.run();

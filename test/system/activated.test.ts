import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { activatedSockets } from "../../src/node/socket-activation.ts";
import { needing, program, Sandbox, suite, until, within } from "../harness.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("nbd-serve on sockets that it was started with");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, Buffer.alloc(1 << 20));
});
tests.after.each(({ sandbox }) => sandbox.end());

function activated({ sandbox, image }: Context, listenFds: string, kind: "sockets" | "files") {
  const script = fileURLToPath(new URL("activated.py", import.meta.url));
  const command = [process.execPath, program("nbd-serve"), image, "-"];
  return sandbox.start("python3", [script, sandbox.folder, listenFds, kind, ...command]);
}

needing(tests, ["nbdsh", "nbdinfo"])("two sockets: both are served", async (context) => {
  const { sandbox } = context;
  const server = activated(context, "2", "sockets");
  await until("it serves", () => server.stderr.includes("serving"));
  for (const i of [0, 1, 1, 0]) {
    const uri = `nbd+unix:///?socket=${sandbox.path(`${i}.sock`)}`;
    assert.is(await within(10_000, `socket ${i}`, sandbox.run("nbdinfo", ["--size", uri])), "1048576\n");
  }
  server.kill();
  assert.is(await within(2000, "nbd-serve", server.exit), 0);
});

for (const [listenFds, kind, words] of [
  ["2", "files", "descriptor 3 is not a listening socket"],
  ["some", "sockets", 'LISTEN_FDS is "some", which is not a number of sockets'],
  ["-1", "sockets", 'LISTEN_FDS is "-1", which is not a number of sockets'],
] as const) {
  needing(tests, ["nbdsh"])(
    `LISTEN_FDS=${listenFds}, ${kind}: one line, and exit status 1`,
    async (context) => {
      const server = activated(context, listenFds, kind);
      assert.is(await within(10_000, "nbd-serve", server.exit), 1);
      assert.is(server.stderr, `nbd-serve: ${words}\n`);
    },
  );
}

tests("what was meant for another process is none of ours", () => {
  const pid = String(process.pid);
  assert.equal(activatedSockets({ LISTEN_PID: "1", LISTEN_FDS: "2" }), []);
  assert.equal(activatedSockets({ LISTEN_FDS: "2" }), []);
  assert.equal(activatedSockets({ LISTEN_PID: pid }), []);
  assert.equal(activatedSockets({ LISTEN_PID: pid, LISTEN_FDS: "0" }), []);
  assert.equal(activatedSockets({ LISTEN_PID: pid, LISTEN_FDS: "3" }), [3, 4, 5]);
});

tests.run();

/** What nbd-serve is given to serve, as a shell gives it: what it refuses, and names that Node cannot tell. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, within } from "../harness.ts";
import { pattern } from "./link.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("what nbd-serve is to serve");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

async function assertRefused({ sandbox }: Context, file: string, reason: string) {
  for (const args of [[], ["--writable"]]) {
    const running = sandbox.start(program("nbd-serve"), [...args, file, "ws://127.0.0.1:1/"]);
    assert.is(await within(20_000, "its end", running.exit), 1);
    assert.is(running.stderr, `nbd-serve: opening ${file}: ${reason}\n`);
  }
}

tests("a FIFO, a socket, a terminal, a folder: one line, and no waiting", async (context) => {
  const { sandbox } = context;
  const [fifo, socket] = [sandbox.path("fifo"), sandbox.path("socket")];
  execFileSync("mkfifo", [fifo]);
  const server = createServer().listen(socket);
  await once(server, "listening");
  const others = "and neither a file nor a block device";
  await assertRefused(context, fifo, `it is a FIFO, ${others}`);
  await assertRefused(context, socket, `it is a socket, ${others}`);
  await assertRefused(context, "/dev/ptmx", `it is a character device, ${others}`);
  await assertRefused(context, sandbox.folder, `it is a folder, ${others}`);
  server.close();
});

tests("a file of more bytes than a number holds", async (context) => {
  const folder = mkdtempSync("/dev/shm/nbd-proxy-test-");
  try {
    for (const size of ["9007199254740993", "9223372036854775807"]) {
      const file = `${folder}/large`;
      execFileSync("truncate", ["-s", size, file]);
      await assertRefused(
        context,
        file,
        `it has ${size} bytes, and more than 9007199254740991 cannot be served`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

needing(tests, ["nbdcopy", "nbdinfo"])("a file whose name is not UTF-8", async ({ sandbox }) => {
  const [latin, other] = [Buffer.from("latin\xe9.iso", "latin1"), Buffer.from("latin\xe8\xe8.iso", "latin1")];
  for (const [name, seed] of [
    [latin, 1],
    [other, 2],
  ] as const) {
    writeFileSync(Buffer.concat([Buffer.from(`${sandbox.folder}/`), name]), pattern(70_000, seed));
  }
  writeFileSync(sandbox.path("expected"), pattern(70_000, 1));
  const serve = program("nbd-serve");
  // Node gives other programs arguments in UTF-8 only.
  const script = `exec nbdcopy -- [ node '${serve}' latin$(printf '\\351').iso - ] copy`;
  await sandbox.run("sh", ["-c", script]);
  execFileSync("cmp", ["expected", "copy"], { cwd: sandbox.folder });
  const list = `exec nbdinfo --list -- [ node '${serve}' latin$(printf '\\351').iso - ]`;
  assert.match(await sandbox.run("sh", ["-c", list]), /export="latin\ufffd\.iso"/);
});

tests.run();

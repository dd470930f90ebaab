/** What nbd-serve may serve to a gateway that waits for it, and what is refused. */
import { copyFileSync, existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import type { Export } from "../../../src/export/export.ts";
import { connectExport } from "../../../src/node/connect-export.ts";
import { program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { attachedAt, pattern, startGateway } from "../link.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
  gateway: Running & { url: string };
}

/** Small enough for each of its blocks to be among the samples. */
const SIZE = 64 << 10;

const tests = suite<Context>("the same medium or none");

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
  context.gateway = await startGateway(context.sandbox, { resume: 120 });
});
tests.after.each(({ sandbox }) => sandbox.end());

const sector = (at: number, seed?: number) => pattern(SIZE, seed).subarray(at, at + 512);

function serve({ sandbox, gateway }: Context, args: readonly string[], state = sandbox.folder): Running {
  return sandbox.start(program("nbd-serve"), [...args, gateway.url], { env: { STATE_DIRECTORY: state } });
}

/** Serves the image, and kills the server once a client is there. The gateway waits. */
async function lose(context: Context, ...options: string[]): Promise<Export> {
  const { sandbox, image, gateway } = context;
  const { socket, uri } = attachedAt(sandbox);
  const first = serve(context, [...options, image]);
  await until("it serves", () => existsSync(socket));
  const disk = await connectExport(uri);
  await disk.read(0, 512);
  first.kill("SIGKILL");
  await first.exit;
  await until("the gateway waits", () => /the link is lost/.test(gateway.stderr));
  return disk;
}

/** The gateway has its link again, and its client notices nothing. */
async function goesOn({ gateway }: Context, disk: Export): Promise<void> {
  await until("the gateway goes on", () => /the link is back/.test(gateway.stderr), 20_000);
  assert.equal(Buffer.from(await disk.read(SIZE - 512, 512)), sector(SIZE - 512));
  await disk.close();
}

/** A folder with another file that has the image's name. */
function elsewhere({ sandbox }: Context, bytes: Uint8Array): string {
  mkdirSync(sandbox.path("elsewhere"));
  const file = sandbox.path("elsewhere/disk.img");
  writeFileSync(file, bytes);
  return file;
}

const touch = ({ sandbox, image }: Context, file: string) => sandbox.run("touch", ["-r", image, file]);

/** Changes a sector as another program does. */
function change(file: string): void {
  const bytes = pattern(SIZE);
  bytes.fill(9, 8192, 8704);
  writeFileSync(file, bytes);
}

interface Other {
  options?: readonly string[];
  /** What is served in place of the image. */
  file(context: Context): string | Promise<string>;
  /** Puts the image back as it was. */
  mend?(context: Context): void | Promise<void>;
  says: RegExp;
}

const kept = ({ sandbox }: Context) => sandbox.path("kept.img");

/** Changes the image itself, and keeps it as it was. */
const changing = (change: (file: string) => void) => ({
  async file(context: Context) {
    copyFileSync(context.image, kept(context));
    await touch(context, kept(context));
    change(context.image);
    return context.image;
  },
  async mend(context: Context) {
    // The same file, as it was.
    const { sandbox, image } = context;
    await sandbox.run("cp", ["--no-preserve=all", kept(context), image]);
    await sandbox.run("touch", ["-r", kept(context), image]);
  },
});

const others: Readonly<Record<string, Other>> = {
  "a file of another name": {
    file(context) {
      const file = context.sandbox.path("other.img");
      copyFileSync(context.image, file);
      return file;
    },
    says: /it is \\?"other\.img\\?", not \\?"disk\.img\\?"/,
  },
  "another file of the same name, size and time": {
    async file(context) {
      const file = elsewhere(context, pattern(SIZE, 2));
      await touch(context, file);
      return file;
    },
    says: /it has other bytes/,
  },
  "a shorter file": {
    file: (context) => elsewhere(context, pattern(SIZE).subarray(0, SIZE - 4096)),
    says: new RegExp(`it has ${SIZE - 4096} bytes, not ${SIZE}`),
  },
  "a longer file": {
    file: (context) => elsewhere(context, pattern(SIZE + 4096)),
    says: new RegExp(`it has ${SIZE + 4096} bytes, not ${SIZE}`),
  },
  "the image, changed since": { ...changing(change), says: /it was modified at another time/ },
  "the image, writable, changed since": {
    options: ["--writable"],
    ...changing(change),
    says: /disk\.img was changed by another program, at 20\d\d-/,
  },
  "another file, writable, of the same name and size": {
    options: ["--writable"],
    file: (context) => elsewhere(context, pattern(SIZE, 2)),
    says: /it has other bytes/,
  },
  "a shorter file, writable": {
    options: ["--writable"],
    file: (context) => elsewhere(context, pattern(SIZE).subarray(0, SIZE - 4096)),
    says: new RegExp(`it has ${SIZE - 4096} bytes, not ${SIZE}`),
  },
  "the image, writable, cut": {
    options: ["--writable"],
    ...changing((file) => truncateSync(file, SIZE - 4096)),
    says: new RegExp(`disk\\.img was changed by another program|it has ${SIZE - 4096} bytes, not ${SIZE}`),
  },
};

for (const [what, { options = [], file, mend, says }] of Object.entries(others)) {
  tests(`${what}: refused on both sides, and the disk waits; then the right one goes on`, async (context) => {
    const { gateway, image } = context;
    const disk = await lose(context, ...options);
    const other = serve(context, [...options, await file(context)]);
    assert.is(await within(20_000, "the refusal", other.exit), 1);
    for (const said of [other.stderr, gateway.stderr]) {
      const lines = said.split("\n").filter((line) => says.test(line));
      assert.is(lines.length, 1, said);
      assert.match(lines[0]!, /another medium than the one in use/);
    }
    assert.not.match(gateway.stderr, /the link is back/);
    assert.ok(existsSync(attachedAt(context.sandbox).socket));

    await mend?.(context);
    serve(context, [...options, image]);
    await goesOn(context, disk);
  });
}

tests("newcomers that fail before they have said who they are change nothing", async (context) => {
  const { gateway, image } = context;
  const disk = await lose(context);
  const { port } = new URL(gateway.url);
  const newcomer = async (speak: (socket: WebSocket) => void) => {
    const socket = new WebSocket(gateway.url);
    socket.on("error", () => {});
    socket.once("open", () => speak(socket));
    await within(30_000, "the end of it", new Promise((resolve) => socket.once("close", resolve)));
  };
  // It says nothing; it is gone; it does not know NBD; it leaves in the middle of a greeting; it has only half a server.
  await newcomer((socket) => socket.close());
  await newcomer((socket) => socket.terminate());
  await newcomer((socket) => socket.send(Buffer.alloc(1024, 0x5a)));
  await newcomer((socket) => socket.send("text"));
  await newcomer((socket) => socket.send(Buffer.from("NBDMAGIC"), () => socket.terminate()));
  await newcomer((socket) => {
    socket.send(Buffer.from("4e42444d4147494349484156454f50540003", "hex"));
    socket.once("message", () => socket.send(Buffer.alloc(64, 0xff)));
  });
  const half = connectTcp(Number(port), "127.0.0.1").on("error", () => {});
  half.end("GET / HTTP/1.1\r\n");
  assert.not.match(gateway.stderr, /the link is back/);
  assert.ok(existsSync(attachedAt(context.sandbox).socket));
  serve(context, [image]);
  await goesOn(context, disk);
});

/** Somebody with a login on another machine. */
function strangersImage(context: Context): { file: string; state: string } {
  const file = elsewhere(context, pattern(SIZE));
  const state = context.sandbox.path("strangers-state");
  mkdirSync(state, { mode: 0o700 });
  return { file, state };
}

tests("without the key: told that it is in use and lost; the disk waits on", async (context) => {
  // Only who has logged in is told.
  context.gateway.kill();
  await context.gateway.exit;
  const gateway = await startGateway(context.sandbox, { resume: 120 }, { hasLogin: true });
  context.gateway = Object.assign(gateway, { url: `${gateway.stdout.trim()}#${gateway.token}` });
  const { image } = context;
  const disk = await lose(context, "--writable");
  const { file, state } = strangersImage(context);
  const stranger = serve(context, ["--writable", file], state);
  assert.is(await within(20_000, "the refusal", stranger.exit), 1);
  assert.match(
    stranger.stderr,
    /in use since .* by disk\.img from 127\.0\.0\.1, lost for \d+ s"; --take-over/,
  );
  serve(context, ["--writable", image]);
  await goesOn(context, disk);
});

for (const isLost of [false, true]) {
  tests(
    `without the key, ${isLost ? "while the link is lost" : "while it lives"}: a takeover begins anew and is sent nothing of before`,
    async (context) => {
      const { sandbox, gateway, image } = context;
      const { socket, uri } = attachedAt(sandbox);
      const mine = serve(context, ["--writable", image]);
      await until("it serves", () => existsSync(socket));
      const disk = await connectExport(uri);
      // Acknowledged, and not flushed.
      await disk.write!(4096, new Uint8Array(512).fill(7));
      let writing: Promise<unknown> | undefined;
      if (isLost) {
        mine.kill("SIGKILL");
        await mine.exit;
        await until("the gateway waits", () => /the link is lost/.test(gateway.stderr));
        // Not even acknowledged.
        writing = disk.write!(8192, new Uint8Array(512).fill(8)).then(
          () => "written",
          () => "failed",
        );
      }
      const { file, state } = strangersImage(context);
      const stranger = serve(context, ["--take-over", "--writable", file], state);
      if (!isLost) {
        assert.is(await within(20_000, "the end of the first", mine.exit), 1);
        assert.match(mine.stderr, /taken over by 127\.0\.0\.1/);
      }
      if (writing) assert.is(await within(20_000, "the write", writing), "failed");
      await disk.close().catch(() => {});
      await until("the stranger serves", () => / serving /.test(stranger.stderr) && existsSync(socket));
      if (isLost) assert.match(gateway.stderr, /what was written last may be lost/);
      const next = await connectExport(uri);
      for (const at of [4096, 8192])
        assert.equal(Buffer.from(await next.read(at, 512)), sector(at), `at ${at}`);
      await next.flush!();
      await next.close();
      // The first one's key is of no use any more.
      const late = serve(context, ["--writable", image]);
      assert.is(await within(20_000, "the refusal", late.exit), 1);
      assert.match(late.stderr, /in use by another session/);
      assert.is(stranger.process.exitCode, null);
    },
  );
}

tests.run();

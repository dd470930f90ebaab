/** A socket that listened before this process: somebody accepts at any time, and no descriptor is lost, whatever fails. */
import { openSync, readdirSync, readlinkSync } from "node:fs";
import { type AddressInfo, createConnection, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { type SystemCalls, systemCalls } from "../../../src/node/kernel/system-calls.ts";
import { HeldSocket } from "../../../src/node/session/held-socket.ts";
import { suite, until, within } from "../../harness.ts";

interface Context {
  calls: SystemCalls;
  held: HeldSocket;
  port: number;
  /** What duplicate() does next; undefined: what it should. */
  fault: (() => number) | undefined;
  own: number;
}

const tests = suite<Context>("a held socket");

/** What the descriptors of this process are of that a held socket could lose: the socket itself, and what a fault gives for it. */
function descriptors({ own }: Context): number {
  const what = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "closed meanwhile";
    }
  };
  const ofSocket = what(String(own));
  return readdirSync("/proc/self/fd").filter((fd) => [ofSocket, FAULTY].includes(what(fd))).length;
}

/** A file that nothing can listen on, and nobody else has open. */
const FAULTY = fileURLToPath(import.meta.url);

tests.before.each(async (context) => {
  context.calls = await systemCalls();
  // A listening socket without a server: that of another process would be like it.
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  context.port = (server.address() as AddressInfo).port;
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  context.own = context.calls.duplicate(fd);
  await new Promise((resolve) => server.close(resolve));
  context.fault = undefined;
  const calls = {
    close: context.calls.close,
    duplicate: (fd: number) => (context.fault ? context.fault() : context.calls.duplicate(fd)),
  };
  context.held = await HeldSocket.hold(
    { fd: context.own, address: { host: "127.0.0.1", port: context.port } },
    calls,
  );
  await hungUp(context);
});
tests.after.each(({ held }) => held.close());

/** Connects, and is hung up on. */
async function hungUp({ port }: Context): Promise<void> {
  const socket = createConnection(port, "127.0.0.1").on("error", () => {});
  await within(5000, "being hung up on", new Promise((resolve) => socket.once("close", resolve)));
  assert.is(socket.bytesRead, 0);
}

/** Connects, and is let in. */
async function letIn({ port }: Context): Promise<void> {
  const socket = createConnection(port, "127.0.0.1");
  await within(5000, "the greeting", new Promise((resolve) => socket.once("data", resolve)));
  socket.destroy();
}

async function goesOn(context: Context): Promise<void> {
  const claimed = context.held.claim();
  claimed.server.on("connection", (socket) => socket.end("greeting"));
  await claimed.open();
  await letIn(context);
  await claimed.close();
  await hungUp(context);
  await until("all descriptors are given back", () => descriptors(context) === 2);
}

tests("it refuses, lets in, and refuses again", (context) => goesOn(context));

const tooManyFiles = () => {
  throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
};

for (const [what, fault] of [
  ["too many files are open", tooManyFiles],
  ["nothing can listen on its descriptor", () => openSync(FAULTY, "r")],
] as const) {
  tests(
    `when ${what} as a session begins, it goes on refusing, and the next session has it`,
    async (context) => {
      const claimed = context.held.claim();
      context.fault = fault;
      try {
        await claimed.open();
        assert.unreachable();
      } catch (error) {
        assert.match((error as Error).message, /too many open files|EINVAL/);
      }
      context.fault = undefined;
      await claimed.close();
      await hungUp(context);
      await until("all descriptors are given back", () => descriptors(context) === 2);
      await goesOn(context);
    },
  );

  tests(`when ${what} as a session ends, that ends all the same, and it refuses soon`, async (context) => {
    const claimed = context.held.claim();
    await claimed.open();
    context.fault = fault;
    await claimed.close();
    context.fault = undefined;
    await hungUp(context);
    await until("all descriptors are given back", () => descriptors(context) === 2);
    await goesOn(context);
  });
}

tests("a session that begins before it refuses again has it", async (context) => {
  const before = context.held.claim();
  await before.open();
  context.fault = tooManyFiles;
  await before.close();
  context.fault = undefined;
  const claimed = context.held.claim();
  claimed.server.on("connection", (socket) => socket.end("greeting"));
  await claimed.open();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  for (let i = 0; i < 5; i++) await letIn(context);
  await claimed.close();
});

tests.run();

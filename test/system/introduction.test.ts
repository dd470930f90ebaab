/** Introductions of gateways and servers, and the peers that know nothing of them. */
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type NetConnectOpts } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { beginHandshake } from "../../src/nbd/client/begun-handshake.ts";
import { introducing } from "../../src/nbd/server/introducing.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { recordToFile } from "../../src/node/recording.ts";
import { socketTransport } from "../../src/node/socket.ts";
import type { Transport } from "../../src/streams/duplex.ts";
import { join as joined } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { parseConversation } from "../../src/transport/conversation.ts";
import { needing, root, Sandbox, suite, until, within } from "../harness.ts";
import { pattern } from "./link.ts";

const SIZE = 65536;
const KEY = "AAECAwQFBgcICQoLDA0ODw";
const NONCE = "EBESExQVFhcYGRobHB0eHw";

const tests = suite<{ sandbox: Sandbox; image: string }>("introductions");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The first connection to a server that is about to listen: some serve one client only. */
async function connected(address: NetConnectOpts): Promise<Transport> {
  let transport: Transport | undefined;
  await until("the server listens", async () => {
    const socket = connect({ ...address, allowHalfOpen: true });
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (isOpen) transport = socketTransport(socket);
    return isOpen;
  });
  return transport!;
}

/** Servers that are not ours: each has its words for a socket, a port and the image. */
const foreign: Readonly<Record<string, { args: readonly string[]; needs: readonly string[] }>> = {
  nbdkit: { args: ["--foreground", "--unix", "{}", "file", "{image}"], needs: ["nbdkit"] },
  "qemu-nbd": { args: ["--persistent", "-f", "raw", "-k", "{}", "{image}"], needs: ["qemu-nbd"] },
  "nbd-server": {
    args: ["127.0.0.1:{port}", "{image}", "-d", "-C", "/dev/null"],
    needs: ["nbd-server"],
  },
  "first-generation-server.js": { args: ["{image}", "{}", "0"], needs: [] },
};

for (const [name, { args, needs }] of Object.entries(foreign)) {
  needing(tests, [...needs])(
    `${name} has no introduction, gets no key, and is used as ever`,
    async ({ sandbox, image }) => {
      const path = sandbox.path("nbd.sock");
      const port = await freePort();
      const command = needs.length > 0 ? name : join(root, "test", name);
      sandbox.start(
        command,
        args.map((arg) => arg.replace("{}", path).replace("{image}", image).replace("{port}", String(port))),
      );
      const address = args.join().includes("{port}") ? { port, host: "127.0.0.1" } : { path };
      const introduce = { nonce: NONCE, wait: 300 };
      const begun = await within(20_000, "it", beginHandshake(await connected(address), { introduce }));
      assert.is(begun.introduction, undefined);
      assert.not.ok(begun.provesKey(KEY));
      const remote = await within(20_000, "the rest", begun.finish({ key: KEY }));
      assert.is(remote.size, SIZE);
      assert.equal(Buffer.from(await remote.read(0, SIZE)), Buffer.from(pattern(SIZE)));
      await remote.close();
    },
  );
}

/** A server that introduces itself, or does not, on a socket. */
async function listening(path: string, isIntroduced: boolean) {
  const asked: unknown[] = [];
  const introduction = introducing({
    async answer(gateway) {
      asked.push(gateway);
      throw new Error("nobody asks");
    },
    keep: (key) => void asked.push(key),
  });
  const target = memoryExport(new Uint8Array(pattern(SIZE)), { readOnly: true });
  const options = { name: "disk.img", ...(isIntroduced && { introduction }) };
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    joined(socketTransport(connection), nbdServer(target, options)).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { asked, close: () => new Promise((resolve) => server.close(resolve)) };
}

for (const [command, args] of [
  ["nbdinfo", ["--json", "nbd+unix:///?socket={}"]],
  ["nbdinfo", ["--list", "--json", "nbd+unix:///?socket={}"]],
  ["nbdinfo", ["--map", "nbd+unix:///?socket={}"]],
  ["qemu-nbd", ["--list", "-k", "{}"]],
] as const) {
  needing(tests, [command])(
    `${command} ${args[0]} notices nothing of a server that can introduce itself`,
    async ({ sandbox }) => {
      const said: string[] = [];
      for (const isIntroduced of [true, false]) {
        const path = sandbox.path(`${isIntroduced}.sock`);
        const server = await listening(path, isIntroduced);
        const output = await sandbox.run(
          command,
          args.map((arg) => arg.replace("{}", path)),
        );
        said.push(output.replaceAll(path, "SOCKET"));
        assert.equal(server.asked, []);
        await server.close();
      }
      assert.is(said[0], said[1]);
      assert.match(said[0]!, args[0] === "--map" ? /allocated|data/ : /base:allocation/);
      assert.not.match(said[0]!, /nbd-proxy:/);
    },
  );
}

tests("a recording has the introductions and the proof, and not the key", async ({ sandbox }) => {
  const [near, far] = transportPair();
  const kept: string[] = [];
  const introduction = introducing({
    answer: async () => ({
      ...{ name: "disk.img", size: 512, modified: 1, samples: new Uint8Array(8), incarnation: "first" },
      ...{ proof: undefined, changed: undefined },
    }),
    keep: (key) => void kept.push(key),
  });
  joined(far, nbdServer(memoryExport(new Uint8Array(512)), { introduction })).catch(() => {});
  const file = sandbox.path("session.nbd");
  const recording = await recordToFile(near, "client", file, "a session");
  const begun = await beginHandshake(recording.transport, { introduce: { nonce: NONCE, wait: 300 } });
  const remote = await begun.finish({ key: KEY });
  await remote.close();
  await recording.end();
  assert.equal(kept, [KEY]);

  const text = readFileSync(file, "utf8");
  assert.match(text, NONCE);
  const masked = "A".repeat(KEY.length);
  assert.match(text, `# LIST_META_CONTEXT "" queries "nbd-proxy:key=${masked}"`);
  assert.not.match(text, KEY);
  const bytes = Buffer.concat(parseConversation(text).map((message) => message.bytes)).toString("latin1");
  assert.match(bytes, `nbd-proxy:key=${masked}`);
  assert.not.match(bytes, KEY);
});

tests.run();

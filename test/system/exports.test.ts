/** Several exports of one server, with descriptions: ours to real clients, and those of real servers to our client. */
import { connect, createServer } from "node:net";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { inquireExport, listExports } from "../../src/nbd/client/inquiry.ts";
import { RefusedError } from "../../src/nbd/error.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { socketTransport } from "../../src/node/socket.ts";
import { join } from "../../src/streams/join.ts";
import { failure } from "../bytes.ts";
import { needing, Sandbox, suite, until } from "../harness.ts";
import { pattern } from "./link.ts";

const tests = suite<{ sandbox: Sandbox }>("several exports");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const contents = { disk: pattern(8192, 1), cd: pattern(4096, 2) };
const exports = [
  { name: "disk", target: memoryExport(contents.disk, { readOnly: true }) },
  { name: "cd", description: "an installer", target: memoryExport(contents.cd, { readOnly: true }) },
];

needing(tests, ["nbdinfo", "nbdcopy"])(
  "nbdinfo lists ours, and nbdcopy gets each by its name",
  async ({ sandbox }) => {
    const socket = sandbox.path("nbd.sock");
    const server = createServer({ allowHalfOpen: true }, (connection) => {
      join(socketTransport(connection), nbdServer(exports)).catch(() => {});
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      const uri = (name: string) => `nbd+unix:///${name}?socket=${socket}`;
      const listed = JSON.parse(await sandbox.run("nbdinfo", ["--list", "--json", uri("")])) as {
        exports: { "export-name": string; description?: string; "export-size": number }[];
      };
      assert.equal(
        listed.exports.map((one) => [one["export-name"], one.description, one["export-size"]]),
        [
          ["disk", undefined, 8192],
          ["cd", "an installer", 4096],
        ],
      );
      for (const [name, bytes] of [...Object.entries(contents), ["", contents.disk] as const]) {
        const copy = (await sandbox.run("sh", ["-c", `nbdcopy '${uri(name)}' - | sha256sum`])).split(" ")[0];
        const own = (
          await sandbox.run("sh", ["-c", `printf '%s' '${bytes.toString("base64")}' | base64 -d | sha256sum`])
        ).split(" ")[0];
        assert.is(copy, own, name);
      }
      const unknown = sandbox.start("nbdinfo", [uri("other")]);
      assert.is(await unknown.exit, 1);
      assert.match(unknown.stderr, /other/);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

/** A connection to a server that is about to listen. */
async function transportTo(path: string) {
  let transport: ReturnType<typeof socketTransport> | undefined;
  await until("the server listens", async () => {
    const socket = connect({ path, allowHalfOpen: true });
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (isOpen) transport = socketTransport(socket);
    return isOpen;
  });
  return transport!;
}

needing(tests, ["nbdkit"])("those of nbdkit are listed", async ({ sandbox }) => {
  const socket = sandbox.path("nbdkit.sock");
  const list = "list_exports=printf 'INTERLEAVED\\ndisk\\na disk\\ncd\\n\\n'";
  sandbox.start("nbdkit", [
    "-f",
    "-U",
    socket,
    "eval",
    list,
    "get_size=echo 4096",
    "pread=head -c $3 /dev/zero",
  ]);
  assert.equal(await listExports(await transportTo(socket)), [
    { name: "disk", description: "a disk" },
    { name: "cd" },
  ]);
  const { size, contexts } = await inquireExport(await transportTo(socket), "cd");
  assert.equal([size, contexts], [4096, ["base:allocation"]]);
});

needing(tests, ["qemu-nbd", "qemu-img"])("the one of qemu-nbd is described", async ({ sandbox }) => {
  const socket = sandbox.path("qemu.sock");
  const image = sandbox.path("disk.img");
  await sandbox.run("qemu-img", ["create", "-q", "-f", "raw", image, "1M"]);
  const described = ["-x", "disk", "-D", "a disk of qemu's"];
  sandbox.start("qemu-nbd", ["--persistent", "--shared=4", "-f", "raw", "-k", socket, ...described, image]);
  assert.equal(await listExports(await transportTo(socket)), [
    { name: "disk", description: "a disk of qemu's" },
  ]);
  const { size, description, contexts } = await inquireExport(await transportTo(socket), "disk");
  assert.equal([size, description, contexts], [1 << 20, "a disk of qemu's", ["base:allocation"]]);
  assert.instance(await failure(inquireExport(await transportTo(socket), "other")), RefusedError);
});

tests.run();

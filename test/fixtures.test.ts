import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nbdClient } from "../src/nbd/client/nbd-client.ts";
import { type Described, Describer } from "../src/nbd/describe/describer.ts";
import { parseConversation } from "../src/transport/conversation.ts";
import { replay, replayLayer } from "../src/transport/replay.ts";
import { ReplayError } from "../src/transport/replay-error.ts";
import { type FixtureKind, fixtureBytes, fixtureImage, fixtureServer } from "./fixtures/image.ts";
import { remotes } from "./fixtures/remotes.ts";
import { root, within } from "./harness.ts";

const tests = suite("fixtures");

const chunkSizes = [1, 2, 3, 7, 28, 4096, Number.POSITIVE_INFINITY];

function fixturesOf(folder: "clients" | "servers") {
  const path = join(root, "fixtures", folder);
  return readdirSync(path).map((file) => ({
    name: file.replace(/\.nbd$/, ""),
    conversation: parseConversation(readFileSync(join(path, file), "utf8")),
  }));
}

const clients = fixturesOf("clients");
const servers = fixturesOf("servers");

/** Clients that were recorded with another export than the plain image. */
const kinds: Readonly<Record<string, FixtureKind>> = {
  "nbdcopy-sparse": "sparse",
  "nbdinfo-map": "sparse",
  "qemu-10-img-map": "sparse",
  "qemu-10-io": "writable",
  "qemu-img-map": "sparse",
  "nbdcopy-write": "writable",
  "libnbd-commands": "writable",
  "libnbd-exports": "several",
  "libnbd-refusals": "writable",
};

function target(name: string) {
  const kind = kinds[name] ?? "image";
  const image = fixtureBytes(kind);
  return { image, server: fixtureServer(kind, image) };
}

tests("there are recordings of the peers that matter", () => {
  const names = (of: { name: string }[]) => of.map(({ name }) => name);
  assert.equal(names(clients), [
    "libnbd-commands",
    "libnbd-contexts",
    "libnbd-exports",
    "libnbd-refusals",
    "libnbd-starttls",
    "nbd-client-attach",
    "nbd-client-export-name",
    "nbd-client-list",
    "nbdcopy-read",
    "nbdcopy-sparse",
    "nbdcopy-write",
    "nbdinfo-json",
    "nbdinfo-list",
    "nbdinfo-map",
    "qemu-10-img-map",
    "qemu-10-io",
    "qemu-img-convert",
    "qemu-img-info",
    "qemu-img-map",
  ]);
  assert.equal(names(servers), [
    "first-generation-server",
    "nbd-server",
    "nbdkit-errors",
    "nbdkit-list",
    "nbdkit-refusal",
    "nbdkit-writable",
    "nbdkit",
    "qemu-10-nbd",
    "qemu-nbd-inquiry",
    "qemu-nbd-writable",
    "qemu-nbd",
  ]);
});

for (const { name, conversation } of clients) {
  for (const chunkSize of chunkSizes) {
    tests(`the server answers ${name} byte for byte, in chunks of ${chunkSize}`, async () => {
      const { image, server } = target(name);
      await within(10_000, "it", replayLayer(server, conversation, { as: "client", chunkSize }));
      if (name === "nbdcopy-write") assert.equal(image, fixtureImage());
    });
  }
}

for (const { name, use } of remotes) {
  const conversation = servers.find((server) => server.name === name)!.conversation;
  for (const chunkSize of chunkSizes) {
    tests(`the client does with ${name} what it did, in chunks of ${chunkSize}`, async () => {
      const played = replay(conversation, { as: "server", chunkSize });
      await within(5000, "it", use(played));
      await played.done;
    });
  }
}

for (const { name, conversation } of servers) {
  if (remotes.some((remote) => remote.name === name)) continue;
  for (const chunkSize of chunkSizes) {
    tests(`the client reads from ${name} as recorded, in chunks of ${chunkSize}`, async () => {
      const played = replay(conversation, { as: "server", chunkSize });
      const remote = await within(5000, "the handshake", nbdClient(played));
      const image = fixtureImage();
      assert.is(remote.size, image.byteLength);
      assert.is(remote.write, undefined);
      // What nbdcopy asked nbd-proxy for.
      for (const [offset, length] of [
        [0, 4096],
        [4096, 4096],
        [8192, 512],
      ] as const) {
        const extents = remote.extents?.(offset, length) ?? [{ length, hole: false, zero: false }];
        assert.equal(await within(5000, "the extents", Promise.resolve(extents)), [
          { length, hole: false, zero: false },
        ]);
        const data = await within(5000, "a read", remote.read(offset, length));
        assert.equal(data, image.slice(offset, offset + length));
      }
      // nbd-proxy ends with a flush where the server has one.
      await remote.flush?.();
      await within(5000, "the end", remote.close());
      await played.done;
      await played.closed;
    });
  }
}

tests("a byte that is changed in a recording is found, in each of them", async () => {
  for (const { name, conversation } of clients) {
    const last = conversation.filter(({ from }) => from === "server").at(-1)!;
    last.bytes[last.bytes.byteLength - 1]! ^= 1;
    const error = await replayLayer(target(name).server, conversation, { as: "client" }).catch((e) => e);
    last.bytes[last.bytes.byteLength - 1]! ^= 1;
    assert.instance(error, ReplayError, `${name}: ${error}`);
    assert.is((error as ReplayError).line, last.line, name);
  }
});

tests("the comments are those that the describer makes", () => {
  for (const { name, conversation } of [...clients, ...servers]) {
    const describer = new Describer();
    const comments: string[] = [];
    const note = (described: Described[]) => {
      for (const { comment } of described) if (comment !== undefined) comments.push(comment);
    };
    for (const message of conversation) note(describer.push(message));
    note(describer.end());
    assert.equal(
      comments,
      conversation.flatMap(({ comment }) => comment ?? []),
      name,
    );
    assert.not(
      comments.some((comment) => /not understood|incomplete/.test(comment)),
      name,
    );
  }
});

tests.run();

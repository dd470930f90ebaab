/** Each round trip counts over distance: how often one side has to wait for the other before a device can be read. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import type { Side } from "../../src/transport/conversation.ts";
import { record } from "../../src/transport/record.ts";
import { readFixtures, turnsOf } from "./recordings.ts";

const tests = suite("round trips");

tests("from the greeting to the export: three, of our client with our server", async () => {
  const [client, server] = transportPair();
  const turns: Side[] = [];
  const recorded = record(client, "client", ({ from }) => {
    if (turns.at(-1) !== from) turns.push(from);
  });
  const served = join(server, nbdServer(memoryExport(new Uint8Array(512))));
  const remote = await nbdClient(recorded);
  assert.equal(turns, ["server", "client", "server", "client", "server", "client", "server"]);
  await remote.close();
  await served;
});

tests("four with servers that have no extended headers", () => {
  const [nbdkit] = readFixtures("servers").filter(({ name }) => name === "nbdkit");
  const { conversation } = nbdkit!;
  const end = conversation.findIndex(({ comment }) => comment === "reply to GO: ACK");
  assert.ok(end > 0);
  assert.is(turnsOf(conversation.slice(0, end + 1), "client").length, 4);
});

tests.run();

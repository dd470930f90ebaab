/** Where a byte stream is cut means nothing: the same messages, the same replies, whatever the chunks. */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { concat } from "../../src/streams/concat.ts";
import { sequence, toHex } from "../bytes.ts";
import { fixtureImage } from "../fixtures/image.ts";
import { remotes } from "../fixtures/remotes.ts";
import { clientMessages, cutBy, cuts, NAME, SIZE } from "./generate.ts";
import { askServer, serveBytes, talkTo } from "./hostile.ts";
import { readFixtures, requestsOf, turnsOf } from "./recordings.ts";

const tests = suite("any split");

/** All that our server says, and what its disk is afterwards. One request at a time, so that the order is fixed. */
async function answers(chunks: Iterable<Uint8Array>, image: Uint8Array) {
  const target = memoryExport(image);
  const exports = [NAME, "damaged.img"].map((name) => ({ name, target }));
  const server = nbdServer(exports, { limit: 1 });
  const { said, error } = await serveBytes(server, chunks);
  return { said: toHex(said), error: error?.message, image: toHex(image) };
}

tests("property: the server answers a generated client in the same way", async () => {
  let replies = 0;
  await fc.assert(
    fc.asyncProperty(clientMessages, cuts, async (messages, sizes) => {
      const wire = concat(messages);
      const whole = await answers([wire.slice()], sequence(SIZE));
      assert.is(whole.error, undefined, "the conversation is valid");
      assert.equal(await answers(cutBy(wire, sizes), sequence(SIZE)), whole);
      replies += whole.said.split("67446698").length - 1;
    }),
    { numRuns: 200 },
  );
  assert.ok(replies > 200, "the conversations come to the transmission phase");
});

for (const { name, conversation } of readFixtures("clients")) {
  tests(`property: the server answers ${name} in the same way`, async () => {
    const wire = concat(conversation.filter(({ from }) => from === "client").map(({ bytes }) => bytes));
    const whole = await answers([wire.slice()], fixtureImage());
    await fc.assert(
      fc.asyncProperty(cuts, async (sizes) => {
        assert.equal(await answers(cutBy(wire, sizes), fixtureImage()), whole);
      }),
      { numRuns: 20 },
    );
  });
}

for (const { name, conversation } of readFixtures("servers")) {
  tests(`property: the client understands ${name} in the same way`, async () => {
    const turns = turnsOf(conversation, "server");
    const use = remotes.find((remote) => remote.name === name)?.use;
    const ask = (messages: Uint8Array[]) =>
      use
        ? talkTo(messages, (transport) => use(transport).then(() => undefined))
        : askServer(messages, requestsOf(conversation));
    const whole = await ask(turns);
    assert.is(whole.error, undefined, "the conversation is valid");
    const wire = concat(conversation.filter(({ from }) => from === "client").map(({ bytes }) => bytes));
    assert.is(toHex(whole.said), toHex(wire), "the client says what was recorded");
    await fc.assert(
      fc.asyncProperty(cuts, async (sizes) => {
        const { said, error } = await ask(turns.flatMap((turn) => cutBy(turn, sizes)));
        assert.is(error, undefined);
        assert.is(toHex(said), toHex(wire));
      }),
      { numRuns: 20 },
    );
  });
}

tests.run();

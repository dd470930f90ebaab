/**
 * A valid conversation in which one byte is flipped, dropped, doubled or the last one: both sides end in a named error,
 * in order, or go on after an errno. Nothing hangs and nothing else is thrown; see hostile.ts.
 */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { concat } from "../../src/streams/concat.ts";
import { sequence } from "../bytes.ts";
import { fixtureImage } from "../fixtures/image.ts";
import { remotes } from "../fixtures/remotes.ts";
import { clientMessages, cutBy, cuts, damages, NAME, SIZE } from "./generate.ts";
import { askServer, serveBytes, talkTo } from "./hostile.ts";
import { readFixtures, requestsOf, turnsOf } from "./recordings.ts";

const tests = suite("damage");

/** Of long data only the beginning and the end are tried at each byte. */
const NEAR = 28;
const isTried = (at: number, { byteLength }: Uint8Array) =>
  at < NEAR || at >= byteLength - NEAR || at % 97 === 0;

for (const { name, conversation } of readFixtures("clients")) {
  tests(`${name}: the server survives damage at every byte`, async () => {
    const messages = conversation.filter(({ from }) => from === "client").map(({ bytes }) => bytes);
    const ends = new Map<string, number>();
    for (const [i, message] of messages.entries()) {
      const [before, after] = [concat([...messages.slice(0, i), new Uint8Array(0)]), messages.slice(i + 1)];
      for (let at = 0; at < message.byteLength; at++) {
        if (!isTried(at, message)) continue;
        for (const [damage, inflict] of Object.entries(damages)) {
          const rest = damage === "the end" ? [] : after;
          const server = nbdServer(memoryExport(fixtureImage()), { name: NAME });
          const { error } = await serveBytes(server, [concat([before, inflict(message, at), ...rest])]).catch(
            (defect: Error) => {
              throw new Error(`byte ${at} of the client's message ${i} ${damage}: ${defect.message}`);
            },
          );
          const end = error?.name ?? "in order";
          ends.set(end, (ends.get(end) ?? 0) + 1);
        }
      }
    }
    assert.ok(ends.get("ProtocolError"), [...ends].join());
    assert.ok(ends.get("UnexpectedEndError"), [...ends].join());
  });
}

for (const { name, conversation } of readFixtures("servers")) {
  tests(`${name}: the client survives damage at every byte`, async () => {
    const turns = turnsOf(conversation, "server");
    const inquiry = remotes.find((remote) => remote.name === name)?.ask;
    const ask = (messages: Uint8Array[]) =>
      inquiry
        ? talkTo(messages, (transport) => inquiry(transport).then(() => undefined))
        : askServer(messages, requestsOf(conversation));
    const ends = new Map<string, number>();
    for (const [i, turn] of turns.entries()) {
      for (let at = 0; at < turn.byteLength; at++) {
        if (!isTried(at, turn)) continue;
        for (const [damage, inflict] of Object.entries(damages)) {
          const rest = damage === "the end" ? [] : turns.slice(i + 1);
          const damaged = [...turns.slice(0, i), inflict(turn, at), ...rest];
          const { error } = await ask(damaged).catch((defect: Error) => {
            throw new Error(`byte ${at} of the server's turn ${i} ${damage}: ${defect.message}`);
          });
          const end = error?.name ?? "in order";
          ends.set(end, (ends.get(end) ?? 0) + 1);
        }
      }
    }
    assert.ok(ends.get("ProtocolError"), [...ends].join());
    assert.ok(ends.get("UnexpectedEndError"), [...ends].join());
  });
}

tests(
  "property: the server survives several damages to a generated client, in chunks of any size",
  async () => {
    const damage = fc.tuple(fc.constantFrom(...Object.keys(damages)), fc.nat(1_000_000));
    await fc.assert(
      fc.asyncProperty(
        clientMessages,
        fc.array(damage, { minLength: 1, maxLength: 4 }),
        cuts,
        async (messages, inflicted, sizes) => {
          let wire = concat(messages);
          for (const [name, at] of inflicted) {
            if (wire.byteLength > 0) wire = damages[name]!(wire, at % wire.byteLength);
          }
          await serveBytes(nbdServer(memoryExport(sequence(SIZE)), { name: NAME }), cutBy(wire, sizes));
        },
      ),
      { numRuns: 300 },
    );
  },
);

tests("property: bytes of no meaning end both sides", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), cuts, async (bytes, sizes) => {
      await serveBytes(nbdServer(memoryExport(sequence(SIZE))), cutBy(bytes, sizes));
      await askServer(cutBy(bytes, sizes), []);
    }),
    { numRuns: 200 },
  );
});

tests.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import { type NbdServerOptions, nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { ByteBudget } from "../../../src/streams/budget.ts";
import { concat } from "../../../src/streams/concat.ts";
import { type Deferred, deferred } from "../../../src/streams/deferred.ts";
import { Ended } from "../../../src/streams/ended.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { failure, hex, isPending, sequence, settled, toHex } from "../../bytes.ts";
import { within } from "../../harness.ts";
import { Peer } from "../peer.ts";
import { GO, GREETING, reply, request } from "../words.ts";

const tests = suite("nbd server");

const SIZE = 1 << 20;
const INFORMED = (flags: string) => `
  0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 ${flags}
  0003e889045565a9 00000007 00000001 00000000`;
const [READ, WRITE, DISC] = [0, 1, 2];

function begin(target: Export, options: NbdServerOptions = {}) {
  const [client, transport] = transportPair();
  const over = join(transport, nbdServer(target, options));
  over.catch(() => {});
  return { client, peer: new Peer(client), over };
}

/** A session in the transmission phase. */
async function transmitting(target: Export, options: NbdServerOptions = {}) {
  const session = begin(target, options);
  await session.peer.expect(GREETING);
  await session.peer.say(`00000003 ${GO}`);
  await session.peer.expect(INFORMED(target.write ? "096d" : "0103"));
  return session;
}

const readOnly = () => memoryExport(sequence(SIZE), { readOnly: true });

/** An export whose reads are answered when the test says so. */
function manual() {
  const reads = new Map<number, Deferred<Uint8Array>>();
  const target: Export = {
    ...readOnly(),
    read(offset) {
      reads.set(offset, deferred());
      return reads.get(offset)!.promise;
    },
  };
  return { target, reads };
}

for (const split of [1, 5, 28, Number.POSITIVE_INFINITY]) {
  tests(`a whole session in chunks of ${split}, byte by byte`, async () => {
    const bytes = sequence(SIZE);
    const { peer, over } = begin(memoryExport(bytes));
    await peer.expect(GREETING);
    await peer.say(`00000003 ${GO} ${request(READ!, 1, 3, 5)}`, split);
    await peer.expect(`${INFORMED("096d")} ${reply(1)} ${toHex(sequence(SIZE).slice(3, 8))}`);
    await peer.say(`${request(WRITE!, 2, 4, 2)} aabb`, split);
    await peer.expect(reply(2));
    await peer.say(request(READ!, 3, 3, 4) + request(DISC!, 4), split);
    await peer.expect(`${reply(3)} ${toHex(bytes.slice(3, 4))} aabb ${toHex(bytes.slice(6, 7))}`);
    await peer.expectEnd();
    await within(1000, "the session", over);
  });
}

tests(
  "a WRITE takes room for its data after the requests before it, which would else wait for each other",
  async () => {
    const { peer } = await transmitting(memoryExport(sequence(SIZE)), {
      room: new ByteBudget(1 << 22).share(SIZE),
    });
    // The second READ waits for the room of the first, so the third has not asked for any yet when the WRITE comes.
    await peer.say(request(READ!, 1, 0, SIZE));
    await peer.say(request(READ!, 2, 0, SIZE));
    await peer.say(request(READ!, 3, 0, SIZE) + request(WRITE!, 4, 0, SIZE));
    await peer.say(sequence(SIZE), 1 << 16);
    for (const cookie of [1, 2, 3]) {
      await peer.expect(reply(cookie));
      assert.equal(await peer.take(SIZE), sequence(SIZE));
    }
    await peer.expect(reply(4));
  },
);

tests("a large read comes whole, behind its header", async () => {
  const { peer } = await transmitting(readOnly());
  await peer.say(request(READ!, 9, 0, SIZE));
  await peer.expect(reply(9));
  assert.equal(await peer.take(SIZE), sequence(SIZE));
});

tests(
  "NBD_CMD_DISC: what is outstanding is answered first, then the end; what follows it is ignored",
  async () => {
    const { target, reads } = manual();
    const { peer, over } = await transmitting(target);
    await peer.say(request(READ!, 1, 0, 2) + request(DISC!, 2) + request(READ!, 3, 1, 2));
    await settled();
    assert.equal([...reads.keys()], [0]);
    assert.ok(await isPending(over));
    reads.get(0)!.resolve(sequence(2));
    await peer.expect(`${reply(1)} ${toHex(sequence(2))}`);
    await peer.expectEnd();
    await within(1000, "the session", over);
  },
);

tests(
  "an end of the client's half between requests is clean, and what is outstanding is answered",
  async () => {
    const { target, reads } = manual();
    const { peer, over } = await transmitting(target);
    await peer.say(request(READ!, 1, 0, 2));
    await peer.hangUp();
    reads.get(0)!.resolve(sequence(2));
    await peer.expect(`${reply(1)} ${toHex(sequence(2))}`);
    await peer.expectEnd();
    await within(1000, "the session", over);
  },
);

tests("an end inside a request fails the session", async () => {
  const { peer, over } = await transmitting(readOnly());
  await peer.say("25609513 0000");
  await peer.hangUp();
  assert.instance(await within(1000, "the session", failure(over)), UnexpectedEndError);
});

tests("a wrong magic fails the session with ProtocolError, whatever is outstanding", async () => {
  const { target } = manual();
  const { peer, client, over } = await transmitting(target);
  await peer.say(`${request(READ!, 1, 0, 2)} ${"00".repeat(28)}`);
  assert.instance(await within(1000, "the session", failure(over)), ProtocolError);
  assert.instance(await within(1000, "the transport", failure(client.closed)), ProtocolError);
});

tests("garbage in the handshake fails the session with ProtocolError", async () => {
  const { peer, over } = begin(readOnly());
  await peer.expect(GREETING);
  await peer.say("00000003 0102030405060708 00000007 00000000");
  assert.instance(await within(1000, "the session", failure(over)), ProtocolError);
});

tests("NBD_OPT_ABORT ends it cleanly", async () => {
  const { peer, over } = begin(readOnly());
  await peer.expect(GREETING);
  await peer.say("00000003 49484156454f5054 00000002 00000000");
  await peer.expect("0003e889045565a9 00000002 00000001 00000000");
  await peer.expectEnd();
  await peer.hangUp();
  await within(1000, "the session", over);
});

tests("NBD_OPT_ABORT of a client that does not listen to the answer is a clean end too", async () => {
  const [client, transport] = transportPair();
  const over = join(transport, nbdServer(readOnly()));
  const reader = client.readable.getReader();
  await reader.read();
  await reader.cancel(new Ended());
  const writer = client.writable.getWriter();
  writer.write(hex("00000003 49484156454f5054 00000002 00000000")).catch(() => {});
  await within(1000, "the session", over);
});

tests("the signal with Ended: what is outstanding is answered, then the end, without a failure", async () => {
  const { target, reads } = manual();
  const ending = new AbortController();
  const { peer, over } = await transmitting(target, { signal: ending.signal });
  await peer.say(request(READ!, 1, 0, 2) + request(READ!, 2, 1, 2));
  await settled();
  ending.abort(new Ended());
  await settled();
  await peer.say(request(READ!, 3, 2, 2));
  await peer.expectSilence();
  assert.equal([...reads.keys()], [0, 1], "what came later is not begun");
  reads.get(1)!.resolve(sequence(2));
  reads.get(0)!.resolve(sequence(2));
  await peer.expect(`${reply(2)} ${toHex(sequence(2))} ${reply(1)} ${toHex(sequence(2))}`);
  await peer.expectEnd();
  await within(1000, "the session", over);
});

tests("the signal with Ended in the handshake, or before it, ends it without a failure", async () => {
  for (const early of [true, false]) {
    const ending = new AbortController();
    if (early) ending.abort(new Ended());
    const { peer, over } = begin(readOnly(), { signal: ending.signal });
    if (!early) await peer.expect(GREETING);
    ending.abort(new Ended());
    if (early) await peer.expectEnd();
    await within(1000, "the session", over);
  }
});

tests("the signal with a failure fails the session", async () => {
  const reason = new Error("broken");
  const ending = new AbortController();
  const { over } = await transmitting(readOnly(), { signal: ending.signal });
  ending.abort(reason);
  assert.is(await within(1000, "the session", failure(over)), reason);
});

tests("onTransmission is told what was negotiated", async () => {
  const told: unknown[] = [];
  await transmitting(readOnly(), { onTransmission: (negotiated) => told.push(negotiated) });
  await settled();
  assert.equal(told, [{ size: SIZE, flags: 0x103 }]);
});

tests(
  "a client that does not take its replies holds at most its room, and gives it back when it goes",
  async () => {
    const budget = new ByteBudget(SIZE);
    const { peer, client, over } = await transmitting(readOnly(), { room: budget.share(1 << 18) });
    let all = "";
    for (let i = 0; i < 200; i++) all += request(READ!, i, 0, 1 << 16);
    await peer.say(all);
    await settled();
    assert.ok(budget.used > 0 && budget.used <= 1 << 18, `${budget.used}`);
    client.close(new Error("gone"));
    await failure(over);
    await settled();
    assert.is(budget.used, 0);
  },
);

tests("a client that vanishes while the export is at work leaves nothing behind", async () => {
  const { target, reads } = manual();
  const budget = new ByteBudget(SIZE);
  const { peer, client, over } = await transmitting(target, { room: budget.share(SIZE) });
  await peer.say(request(READ!, 1, 0, 4096));
  await settled();
  const reason = new Error("reset");
  client.close(reason);
  assert.is(await within(1000, "the session", failure(over)), reason);
  reads.get(0)!.resolve(sequence(4096));
  await settled();
  assert.is(budget.used, 0);
});

tests("an oversized WRITE gets its errno, and the session goes on", async () => {
  const { peer } = await transmitting(memoryExport(new Uint8Array(SIZE)));
  const length = (1 << 25) + 1;
  const sending = peer.say(request(WRITE!, 1, 0, length)).then(async () => {
    await peer.say(concat([new Uint8Array(length)]), 1 << 20);
    await peer.say(request(READ!, 2, 0, 1));
  });
  await peer.expect(reply(1, 22));
  await peer.expect(`${reply(2)} 00`);
  await sending;
});

tests.run();

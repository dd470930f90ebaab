/** What a link does by itself; what is said on it by an export is tested in nbd-client.test.ts. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import { Link } from "../../../src/nbd/client/link.ts";
import { Command, CommandFlag } from "../../../src/nbd/constants.ts";
import { LinkError } from "../../../src/nbd/error.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { failure, hex, isPending, sequence, settled } from "../../bytes.ts";
import { within } from "../../harness.ts";
import { Peer } from "../peer.ts";

const tests = suite("link");

const digits = (n: number, count: number) => n.toString(16).padStart(count, "0");
const request = (type: number, cookie: number, offset = 0, length = 0, flags = 0) =>
  `25609513 ${digits(flags, 4)} ${digits(type, 4)} ${digits(cookie, 16)} ${digits(offset, 16)} ${digits(length, 8)}`;
const reply = (cookie: number, error = 0) => `67446698 ${digits(error, 8)} ${digits(cookie, 16)}`;

/** A link with a server that the test plays. */
function linked({ window = 1 << 16, timeout = 0 } = {}) {
  const [near, far] = transportPair();
  const options = { window: { outstanding: window, request: window }, timeout };
  const link = new Link(near, near, { size: 1 << 20, flags: 1 }, options);
  return { link, peer: new Peer(far), near };
}

tests("a request is sent as it is, its flags and data too, and counted", async () => {
  const { link, peer } = linked();
  const written = link.send(Command.WRITE, CommandFlag.FUA, 5, 3, undefined, hex("aabbcc"));
  const read = link.send(Command.READ, 0, 7, 2);
  assert.is(link.requests, 2n);
  await peer.expect(
    `${request(Command.WRITE, 0, 5, 3, CommandFlag.FUA)} aabbcc ${request(Command.READ, 1, 7, 2)}`,
  );
  await peer.say(`${reply(1)} 0102 ${reply(0)}`);
  assert.equal((await within(1000, "the read", read)).payload, hex("0102"));
  await within(1000, "the write", written);
});

tests("what is beyond the window waits for an answer, in the order in which it came", async () => {
  const { link, peer } = linked({ window: 10_000 });
  const first = link.send(Command.READ, 0, 0, 10_000);
  const second = link.send(Command.FLUSH, 0, 0, 0);
  const third = link.send(Command.READ, 0, 9, 1);
  await peer.expect(request(Command.READ, 0, 0, 10_000));
  await peer.expectSilence();
  assert.is(link.requests, 1n);
  await peer.say(reply(0));
  await peer.say(sequence(10_000));
  await within(1000, "the first", first);
  await peer.expect(request(Command.FLUSH, 1) + request(Command.READ, 2, 9, 1));
  await peer.say(`${reply(1)} ${reply(2)} aa`);
  await within(1000, "the others", Promise.all([second, third]));
});

tests("a request whose signal is aborted while it waits is not sent, and takes no room", async () => {
  const { link, peer } = linked({ window: 4096 });
  const first = link.send(Command.READ, 0, 0, 1);
  const ending = new AbortController();
  const reason = new Error("not needed any more");
  const second = failure(link.send(Command.READ, 0, 1, 1, ending.signal));
  const third = link.send(Command.READ, 0, 2, 1);
  await peer.expect(request(Command.READ, 0, 0, 1));
  ending.abort(reason);
  await peer.say(`${reply(0)} aa`);
  await within(1000, "the first", first);
  assert.is(await within(1000, "the second", second), reason);
  await peer.expect(request(Command.READ, 1, 2, 1));
  await peer.say(`${reply(1)} bb`);
  await within(1000, "the third", third);
  assert.is(await failure(link.send(Command.READ, 0, 0, 1, AbortSignal.abort(reason))), reason);
});

tests(
  "close() lets what is outstanding be answered, refuses the rest with its cause, and says DISC",
  async () => {
    const { link, peer } = linked();
    const read = link.send(Command.READ, 0, 0, 1);
    await peer.expect(request(Command.READ, 0, 0, 1));
    const closing = link.close(new LinkError("the medium was taken out"));
    const late = (await failure(link.send(Command.READ, 0, 0, 1))) as ExportError;
    assert.is(late.errno, Errno.EIO);
    assert.is(late.message, "the link to the server is gone: the medium was taken out");
    await settled();
    assert.ok(await isPending(link.closed));
    await peer.say(`${reply(0)} aa`);
    assert.equal((await within(1000, "the read", read)).payload, hex("aa"));
    await peer.expect(request(Command.DISC, 0));
    await peer.hangUp();
    await within(1000, "close()", closing);
    await within(1000, "closed", link.closed);
  },
);

tests("an end with requests outstanding, or waiting for room, is a failure of all of them", async () => {
  const { link, peer, near } = linked({ window: 4096 });
  const all = [0, 1, 2].map((offset) => failure(link.send(Command.READ, 0, offset, 1)));
  await peer.expect(request(Command.READ, 0, 0, 1));
  await peer.hangUp();
  for (const error of await within(1000, "the reads", Promise.all(all))) {
    assert.instance(error, ExportError);
    assert.is((error as ExportError).errno, Errno.EIO);
  }
  const reason = await failure(link.closed);
  assert.instance(reason, LinkError);
  assert.is(reason.message, "the server ended the connection with 1 requests unanswered");
  assert.is(await failure(near.closed), reason, "the transport is told");
});

tests.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { type NbdClientOptions, nbdClient } from "../../../src/nbd/client/nbd-client.ts";
import { LinkError, ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import { ExtendedRequest, Request } from "../../../src/nbd/messages.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { concat } from "../../../src/streams/concat.ts";
import { Ended } from "../../../src/streams/ended.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { push } from "../../../src/streams/push.ts";
import { ascii, failure, hex, isPending, sequence, settled } from "../../bytes.ts";
import { within } from "../../harness.ts";
import { Peer } from "../peer.ts";
import { GREETING, number, optionReply, reply, request } from "../words.ts";

const tests = suite("nbd client");

/** A reply to GO. */
const goReply = (kind: string, data = "") => optionReply("00000007", kind, data);
const [READ, WRITE, DISC, FLUSH] = [0, 1, 2, 3] as const;
const [READ_ONLY, NO_FLUSH, NO_FUA, FULL] = [0x3, 0x1, 0x5, 0xd];
const SIZE = 1 << 30;

/** Takes what the client says to the greeting, up to GO; knows neither extended headers nor structured replies. */
async function expectGo(peer: Peer) {
  await peer.expect("00000003");
  for (const option of ["0000000b", "00000008"]) {
    await peer.expect(`49484156454f5054 ${option} 00000000`);
    await peer.say(`0003e889045565a9 ${option} 80000001 00000000`);
  }
  await peer.expect("49484156454f5054 00000007 0000000c 00000000 0003 0001 0002 0003");
}

/** A client attached to a server that the test plays. */
async function attached(flags: number, options: NbdClientOptions = {}, blockSize = "") {
  const [client, server] = transportPair();
  const peer = new Peer(server);
  const opened = nbdClient(client, options);
  opened.catch(() => {});
  await peer.say(GREETING);
  await expectGo(peer);
  await peer.say(goReply("00000003", `0000 ${number(SIZE, 16)} ${number(flags, 4)}`));
  if (blockSize) await peer.say(goReply("00000003", `0003 ${blockSize}`));
  await peer.say(goReply("00000001"));
  return { remote: await within(1000, "the handshake", opened), peer, client, server };
}

/** The same with a first-generation server. */
async function firstGeneration(flags: number, options: NbdClientOptions = {}) {
  const [client, server] = transportPair();
  const peer = new Peer(server);
  const opened = nbdClient(client, options);
  await peer.say("4e42444d41474943 49484156454f5054 0000");
  await peer.expect("00000000 49484156454f5054 00000001 00000000");
  await peer.say(`${number(SIZE, 16)} ${number(flags, 4)} ${"00".repeat(124)}`);
  return { remote: await within(1000, "the handshake", opened), peer };
}

/** The next request that the client sent, with its payload. */
async function taken(peer: Peer) {
  const fields = Request.decode(await peer.take(Request.size));
  const payload = fields.type === WRITE ? await peer.take(fields.length) : undefined;
  return { ...fields, payload };
}

async function isErrno(promise: Promise<unknown>, errno: number): Promise<ExportError> {
  const error = await within(1000, "the request", failure(promise));
  assert.instance(error, ExportError);
  assert.is((error as ExportError).errno, errno, error.message);
  return error as ExportError;
}

tests("what the server told is what the export is", async () => {
  const { remote } = await attached(FULL);
  assert.is(remote.size, SIZE);
  assert.type(remote.write, "function");
  assert.type(remote.flush, "function");
  const readOnly = (await attached(READ_ONLY)).remote;
  assert.is(readOnly.write, undefined);
  assert.is(readOnly.flush, undefined);
});

tests("requests byte by byte; replies in any order find theirs", async () => {
  const { remote, peer } = await attached(FULL);
  const first = remote.read(0x1234, 4);
  const second = remote.write!(8, hex("aabbcc"));
  const third = remote.flush!();
  await peer.expect(`${request(READ, 0, 0x1234, 4)} ${request(WRITE, 1, 8, 3)} aabbcc ${request(FLUSH, 2)}`);
  await peer.say(`${reply(2)} ${reply(1)}`);
  await within(1000, "the flush", third);
  await within(1000, "the write", second);
  await peer.say(`${reply(0)} 01020304`, 1);
  assert.equal(await within(1000, "the read", first), hex("01020304"));
});

tests("a read of 0 bytes and a write of 0 bytes need no server", async () => {
  const { remote, peer } = await attached(FULL);
  assert.equal(await remote.read(5, 0), new Uint8Array(0));
  await remote.write!(5, new Uint8Array(0));
  await peer.expectSilence();
});

tests("a long read is split, and its pieces put together whatever their order", async () => {
  const { remote, peer } = await attached(READ_ONLY);
  const length = (1 << 18) * 2 + 100;
  const read = remote.read(1000, length);
  const requests = [await taken(peer), await taken(peer), await taken(peer)];
  assert.equal(
    requests.map(({ offset, length }) => [offset, length]),
    [
      [1000, 1 << 18],
      [1000 + (1 << 18), 1 << 18],
      [1000 + (1 << 19), 100],
    ],
  );
  for (const { cookie, offset, length } of requests.reverse()) {
    await peer.say(concat([hex(reply(cookie)), sequence(length, offset)]));
  }
  assert.equal(await within(5000, "the read", read), sequence(length, 1000));
});

tests("a long write is split; it settles when the last piece has, with the first failure", async () => {
  const { remote, peer } = await attached(NO_FLUSH);
  const data = sequence((1 << 18) + 5);
  const written = remote.write!(7, data);
  const requests = [await taken(peer), await taken(peer)];
  assert.equal(concat(requests.map(({ payload }) => payload!)), data);
  assert.is(requests[1]!.offset, 7 + (1 << 18));
  await peer.say(reply(requests[0]!.cookie, Errno.ENOSPC));
  assert.ok(await isPending(written), "the data is lent until the last piece has settled");
  await peer.say(reply(requests[1]!.cookie));
  await isErrno(written, Errno.ENOSPC);
});

tests("a server's maximum and minimum block sizes are kept", async () => {
  const { remote, peer } = await attached(READ_ONLY, {}, "00000200 00001000 00000500");
  remote.read(0, 4096).catch(() => {});
  const requests = [await taken(peer), await taken(peer), await taken(peer), await taken(peer)];
  assert.equal(
    requests.map(({ offset, length }) => [offset, length]),
    [
      [0, 1024],
      [1024, 1024],
      [2048, 1024],
      [3072, 1024],
    ],
  );
  assert.equal(
    remote.blockSize,
    { minimum: 1, preferred: 4096, maximum: 1 << 25 },
    "what is not aligned is padded",
  );
});

tests("the window: 256 KiB a request, never more than 4 MiB outstanding, headers included", async () => {
  const { remote, peer } = await attached(READ_ONLY);
  const whole = Promise.all(Array.from({ length: 16 }, () => remote.read(0, 1 << 20)));
  const cookies: bigint[] = [];
  for (let i = 0; i < 15; i++) {
    const { cookie, length } = await taken(peer);
    assert.is(length, 1 << 18);
    cookies.push(cookie);
  }
  await peer.expectSilence();
  await peer.say(concat([hex(reply(cookies[5]!)), new Uint8Array(1 << 18)]));
  await taken(peer);
  await peer.expectSilence();
  whole.catch(() => {});
});

tests("a long request leaves half of the window to others", async () => {
  const { remote, peer } = await attached(READ_ONLY);
  remote.read(0, 1 << 24).catch(() => {});
  for (let i = 0; i < 8; i++) await taken(peer);
  await peer.expectSilence();
  remote.read(5, 1).catch(() => {});
  assert.is((await taken(peer)).length, 1);
});

tests(
  "a first-generation server: 128 KiB a request, four replies outstanding, or what goes there",
  async () => {
    for (const [way, most] of [
      ["read", 4],
      ["write", 3],
    ] as const) {
      const { remote, peer } = await firstGeneration(NO_FLUSH);
      const data = sequence(1 << 20);
      const all = way === "read" ? remote.read(0, 1 << 20) : remote.write!(0, data);
      let outstanding: Awaited<ReturnType<typeof taken>>[] = [];
      for (let asked = 0; asked < 1 << 20; ) {
        const next = await taken(peer);
        assert.is(next.length, 1 << 17);
        asked += next.length;
        outstanding.push(next);
        if (outstanding.length < most && asked < 1 << 20) continue;
        await peer.expectSilence();
        for (const { cookie, offset, length, type } of outstanding.splice(0)) {
          await peer.say(concat([hex(reply(cookie)), type === READ ? sequence(length, offset) : hex("")]));
        }
      }
      outstanding = [];
      const got = await within(5000, way, all as Promise<Uint8Array | undefined>);
      if (way === "read") assert.equal(got, sequence(1 << 20));
    }
  },
);

tests(
  "a window that is asked for; a first-generation server is asked for no more than is known to be safe",
  async () => {
    const { remote, peer } = await attached(READ_ONLY, {
      window: { outstanding: 1 << 15, request: 1 << 15 },
    });
    assert.equal(remote.window, { outstanding: 1 << 15, request: 28 << 10 }, "the headers fit too");
    const read = remote.read(0, 1 << 16);
    for (let asked = 0; asked < 1 << 16; ) {
      const { cookie, length, offset } = await taken(peer);
      assert.is(remote.unanswered, 1);
      asked += length;
      await peer.say(concat([hex(reply(cookie)), sequence(length, offset)]));
    }
    assert.equal(await within(1000, "the read", read), sequence(1 << 16));

    const old = (window: NbdClientOptions["window"]) => firstGeneration(READ_ONLY, { window: window! });
    const large = await old({ outstanding: 1 << 22, request: 1 << 20 });
    assert.equal(large.remote.window, { outstanding: 524_352, request: 1 << 17 });
    const small = await old({ outstanding: 1 << 17, request: 1 << 14 });
    assert.equal(small.remote.window, { outstanding: 1 << 17, request: 1 << 14 });
  },
);

tests("a window for a server's long blocks: one block at a time, however long", async () => {
  const window = { outstanding: 1 << 14 };
  const { remote, peer } = await attached(READ_ONLY, { window }, "00010000 00010000 00100000");
  const read = remote.read(0, 1 << 17);
  for (const at of [0, 1 << 16]) {
    const { cookie, length, offset } = await taken(peer);
    assert.equal([offset, length], [at, 1 << 16]);
    await peer.expectSilence();
    await peer.say(concat([hex(reply(cookie)), sequence(length, offset)]));
  }
  assert.equal(await within(1000, "the read", read), sequence(1 << 17));
});

tests("windows that cannot be are told at once", async () => {
  for (const [window, words] of [
    [{ outstanding: 1 }, /window.outstanding, in bytes, must be/],
    [{ request: 0 }, /window.request, in bytes, must be/],
    [7, /window must be/],
  ] as const) {
    const [client, server] = transportPair();
    const opened = nbdClient(client, { window } as NbdClientOptions);
    await new Peer(server).say(GREETING);
    assert.match(((await failure(opened)) as Error).message, words);
  }
});

tests("small requests are bounded in number too", async () => {
  const { remote, peer } = await attached(READ_ONLY);
  for (let i = 0; i < 3000; i++) remote.read(i, 1).catch(() => {});
  for (let i = 0; i < 1024; i++) await taken(peer);
  await peer.expectSilence();
});

tests("FUA goes to a server that has it; elsewhere it is a write, then a flush", async () => {
  const full = await attached(FULL);
  const fua = full.remote.write!(0, hex("aa"), { fua: true });
  await full.peer.expect(`${request(WRITE, 0, 0, 1, 1)} aa`);
  await full.peer.say(reply(0));
  await within(1000, "the write", fua);
  await full.peer.expectSilence();

  const poor = await attached(NO_FUA);
  const flushed = poor.remote.write!(0, hex("aa"), { fua: true });
  await poor.peer.expect(`${request(WRITE, 0, 0, 1)} aa`);
  await poor.peer.expectSilence();
  await poor.peer.say(reply(0));
  await poor.peer.expect(request(FLUSH, 1));
  assert.ok(await isPending(flushed));
  await poor.peer.say(reply(1, Errno.EIO));
  await isErrno(flushed, Errno.EIO);
});

tests("errors of the server are passed on; one that NBD does not define counts as EINVAL", async () => {
  const { remote, peer } = await attached(FULL);
  for (const [sent, errno] of [
    [Errno.EPERM, Errno.EPERM],
    [Errno.EIO, Errno.EIO],
    [Errno.ENOSPC, Errno.ENOSPC],
    [Errno.ENOTSUP, Errno.ENOTSUP],
    [0xffff, Errno.EINVAL],
  ] as const) {
    const read = remote.read(1, 2);
    const { cookie } = await taken(peer);
    await peer.say(reply(cookie, sent));
    assert.match((await isErrno(read, errno)).message, /^the server answered .* to READ of 2 bytes at 1$/);
  }
  assert.ok(await isPending(remote.closed));
});

tests("ESHUTDOWN: what else is answered counts, then the client leaves in order", async () => {
  const { remote, peer, server } = await attached(FULL);
  const [first, second] = [remote.read(0, 1), remote.read(1, 1)];
  await taken(peer);
  await peer.say(reply(0, Errno.ESHUTDOWN));
  await isErrno(first, Errno.ESHUTDOWN);
  await isErrno(remote.read(0, 1), Errno.EIO);
  await peer.say(`${reply(1)} aa`);
  assert.equal(await second, new Uint8Array([0xaa]));
  await peer.expect(request(READ, 1, 1, 1) + request(DISC, 0));
  server.close();
  const error = await within(1000, "closed", failure(remote.closed));
  assert.instance(error, LinkError);
  assert.is(error.message, "the server is shutting down");
});

tests("ESHUTDOWN of a server that does not go: the link is over all the same", async () => {
  const { remote, peer } = await attached(FULL);
  const [first, second] = [remote.read(0, 1), remote.read(1, 1)];
  await taken(peer);
  await peer.say(reply(0, Errno.ESHUTDOWN));
  await isErrno(first, Errno.ESHUTDOWN);
  await isErrno(second, Errno.EIO);
  assert.instance(await within(5000, "closed", failure(remote.closed)), LinkError);
});

tests("block sizes that the specification does not allow are not told on", async () => {
  for (const [sizes, preferred] of [
    ["00000001 00000001 02000000", 512],
    ["00000001 80000000 ffffffff", 1 << 25],
  ] as const) {
    const { remote } = await attached(FULL, {}, sizes);
    assert.equal(remote.blockSize, { minimum: 1, preferred, maximum: 1 << 25 });
    remote.close();
  }
});

for (const [what, bytes, type, message] of [
  ["an unknown cookie", reply(99), ProtocolError, /not outstanding, cookie 0x63/],
  ["a cookie twice", `${reply(1)} ${reply(1)}`, ProtocolError, /answered twice|not outstanding/],
  ["a wrong magic", "67446699 00000000 0000000000000000", ProtocolError, /began with 0x67446699 where/],
] as const) {
  tests(`${what}: everything outstanding fails with EIO, and closed with ProtocolError`, async () => {
    const { remote, peer, server } = await attached(FULL);
    const read = remote.read(0, 4);
    const flushed = remote.flush!();
    flushed.catch(() => {});
    await taken(peer);
    await taken(peer);
    await peer.say(bytes);
    await isErrno(read, Errno.EIO);
    const error = await within(1000, "closed", failure(remote.closed));
    assert.instance(error, type);
    assert.match(error.message, message);
    assert.is(await within(1000, "the transport", failure(server.closed)), error);
  });
}

tests("the server ends with requests unanswered: EIO, and closed rejects with LinkError", async () => {
  const { remote, peer } = await attached(FULL);
  const read = remote.read(0, 4);
  const write = remote.write!(0, hex("aa"));
  await taken(peer);
  await peer.hangUp();
  await isErrno(read, Errno.EIO);
  await isErrno(write, Errno.EIO);
  const error = await within(1000, "closed", failure(remote.closed));
  assert.instance(error, LinkError);
  assert.is(error.message, "the server ended the connection with 2 requests unanswered");
});

tests(
  "a transport that was closed, and has not failed, has ended: closed rejects with LinkError",
  async () => {
    const [client, server] = transportPair();
    const peer = new Peer(server);
    const incoming = push<Uint8Array>();
    client.readable
      .pipeTo(new WritableStream({ write: (chunk) => void incoming.push(chunk) }))
      .catch(() => {});
    const opened = nbdClient({ ...client, readable: incoming.readable });
    await peer.say(GREETING);
    await expectGo(peer);
    await peer.say(goReply("00000003", `0000 ${number(SIZE, 16)} ${number(FULL, 4)}`));
    await peer.say(goReply("00000001"));
    const remote = await within(1000, "the handshake", opened);
    const read = remote.read(0, 4);
    await taken(peer);
    incoming.error(new Ended("the other side has closed the connection"));
    await isErrno(read, Errno.EIO);
    const reason = await within(1000, "closed", failure(remote.closed));
    assert.instance(reason, LinkError);
    assert.is(reason.message, "the server ended the connection with 1 requests unanswered");
  },
);

tests("the server ends inside a reply: EIO, and closed rejects", async () => {
  const { remote, peer } = await attached(FULL);
  const read = remote.read(0, 4);
  await taken(peer);
  await peer.say(`${reply(0)} 0102`);
  await peer.hangUp();
  await isErrno(read, Errno.EIO);
  assert.instance(await within(1000, "closed", failure(remote.closed)), UnexpectedEndError);
});

tests(
  "the server ends between replies with nothing outstanding: closed resolves, later requests are EIO",
  async () => {
    const { remote, peer } = await attached(FULL);
    const read = remote.read(0, 1);
    await taken(peer);
    await peer.say(`${reply(0)} aa`);
    await read;
    await peer.hangUp();
    await within(1000, "closed", remote.closed);
    await isErrno(remote.read(0, 1), Errno.EIO);
    await within(1000, "close()", remote.close());
  },
);

tests("the transport breaks: everything outstanding, waiting for room too, fails with EIO", async () => {
  const { remote, peer, client } = await attached(READ_ONLY);
  const reads = Array.from({ length: 40 }, (_, i) => remote.read(i << 18, 1 << 18));
  await taken(peer);
  const reason = new Error("the cable was cut");
  client.close(reason);
  for (const read of reads) await isErrno(read, Errno.EIO);
  assert.is(await failure(remote.closed), reason);
});

tests("a request without an answer for the timeout: EIO, and closed rejects with LinkError", async () => {
  const { remote, peer } = await attached(FULL, { timeout: 0.05 });
  const read = remote.read(8, 1);
  await taken(peer);
  await isErrno(read, Errno.EIO);
  const error = await failure(remote.closed);
  assert.instance(error, LinkError);
  assert.is(error.message, "the server did not answer a READ at 8 for 0.05 s");
});

tests("the timeout counts from when a request is the oldest, and idle time does not count", async () => {
  const { remote, peer } = await attached(FULL, { timeout: 2 });
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  await pause(2100);
  const reads = Array.from({ length: 5 }, (_, i) => remote.read(i, 1));
  for (let i = 0; i < 5; i++) {
    await taken(peer);
    await pause(500);
    await peer.say(`${reply(i)} aa`);
  }
  await within(5000, "the reads", Promise.all(reads));
  assert.ok(await isPending(remote.closed));
});

tests("close() waits for what is outstanding, sends DISC, and waits for the server's end", async () => {
  const { remote, peer } = await attached(FULL);
  const read = remote.read(0, 1);
  await taken(peer);
  const closing = remote.close();
  await peer.expectSilence();
  await isErrno(remote.read(1, 1), Errno.EIO);
  await peer.say(`${reply(0)} aa`);
  assert.equal(await read, hex("aa"));
  await peer.expect(request(DISC, 0));
  await peer.expectEnd();
  await peer.hangUp();
  await within(1000, "close()", closing);
  await within(1000, "closed", remote.closed);
});

tests("close() of a server that does not hang up after DISC ends all the same", async () => {
  const { remote, peer } = await attached(FULL);
  const closing = remote.close();
  await peer.expect(request(DISC, 0));
  await within(5000, "close()", closing);
  await within(1000, "closed", remote.closed);
});

tests(
  "a read is given up by its signal: before, while it waits for room, and while it is outstanding",
  async () => {
    const { remote, peer } = await attached(READ_ONLY);
    const reason = new Error("not needed any more");
    assert.is(await failure(remote.read(0, 1, { signal: AbortSignal.abort(reason) })), reason);
    await peer.expectSilence();

    const whole = Promise.all([remote.read(0, 1 << 21), remote.read(0, 1 << 21)]);
    const abort = new AbortController();
    const waiting = failure(remote.read(0, 1, { signal: abort.signal }));
    await settled();
    abort.abort(reason);
    assert.is(await within(1000, "the read that waits", waiting), reason);
    for (let i = 0; i < 16; i++) {
      const { cookie, length } = await taken(peer);
      await peer.say(concat([hex(reply(cookie)), new Uint8Array(length)]));
    }
    await within(5000, "the others", whole);
    await peer.expectSilence();

    const later = new AbortController();
    const outstanding = failure(remote.read(0, 1, { signal: later.signal }));
    const { cookie } = await taken(peer);
    later.abort(reason);
    assert.is(await within(1000, "the read that is outstanding", outstanding), reason);
    const other = remote.read(1, 1);
    const next = await taken(peer);
    await peer.say(`${reply(cookie)} aa ${reply(next.cookie)} bb`);
    assert.equal(await within(1000, "the next", other), hex("bb"), "the late reply disturbs nobody");
  },
);

tests("a handshake that is refused, given up, or has no answer closes the transport", async () => {
  const [client, server] = transportPair();
  const peer = new Peer(server);
  const refused = failure(nbdClient(client));
  await peer.say(GREETING);
  await expectGo(peer);
  await peer.say(goReply("80000006"));
  await peer.expect("49484156454f5054 00000002 00000000");
  const error = await within(1000, "the client", refused);
  assert.instance(error, RefusedError);
  assert.is(error.message, `the server refused the export "": ERR_UNKNOWN`);
  await within(
    1000,
    "the transport",
    client.closed.catch(() => {}),
  );

  const [silent] = transportPair();
  const late = await within(1000, "the timeout", failure(nbdClient(silent, { timeout: 0.05 })));
  assert.instance(late, LinkError);
  assert.is(late.message, "the server did not answer for 0.05 s");

  const [other] = transportPair();
  const abort = new AbortController();
  const reason = new Error("given up");
  const given = failure(nbdClient(other, { signal: abort.signal }));
  await settled();
  abort.abort(reason);
  assert.is(await within(1000, "the signal", given), reason);

  const [third] = transportPair();
  const early = await failure(nbdClient(third, { signal: AbortSignal.abort(reason), timeout: 60 }));
  assert.is(early, reason);
  assert.is(await within(1000, "the transport", failure(third.closed)), reason);
});

const [TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] = [4, 5, 6, 7] as const;
/** Everything: FLUSH, FUA, TRIM, WRITE_ZEROES, DF, CACHE, FAST_ZERO. */
const ALL = 0xced;

/** A client of a server with extended headers, or structured replies, and base:allocation, whose id is 42. */
async function chunked(
  headers: "structured" | "extended",
  flags: number,
  blockSize = "",
  options: NbdClientOptions = {},
) {
  const [client, server] = transportPair();
  const peer = new Peer(server);
  const opened = nbdClient(client, options);
  opened.catch(() => {});
  const ask = async (option: string, answer: string, data = "") => {
    await peer.expect(`49484156454f5054 ${option} ${number(hex(data).byteLength, 8)} ${data}`);
    await peer.say(`0003e889045565a9 ${option} ${answer} 00000000`);
  };
  await peer.say(GREETING);
  await peer.expect("00000003");
  await ask("0000000b", headers === "extended" ? "00000001" : "80000001");
  if (headers === "structured") await ask("00000008", "00000001");
  await peer.say(`0003e889045565a9 0000000a 00000004 00000013 0000002a ${ascii("base:allocation")}`);
  await ask("0000000a", "00000001", `00000000 00000001 0000000f ${ascii("base:allocation")}`);
  await peer.expect("49484156454f5054 00000007 0000000c 00000000 0003 0001 0002 0003");
  await peer.say(goReply("00000003", `0000 ${number(2 ** 48, 16)} ${number(flags, 4)}`));
  if (blockSize) await peer.say(goReply("00000003", `0003 ${blockSize}`));
  await peer.say(goReply("00000001"));
  return { remote: await within(1000, "the handshake", opened), peer };
}

const extendedRequest = (type: number, cookie: number, offset: number, length: number, flags = 0) =>
  `21e41c71 ${number(flags, 4)} ${number(type, 4)} ${number(cookie, 16)} ${number(offset, 16)} ${number(length, 16)}`;
const structuredReply = (type: string, cookie: number, payload = "") =>
  `668e33ef 0001 ${type} ${number(cookie, 16)} ${number(hex(payload).byteLength, 8)} ${payload}`;
const extendedReply = (type: string, cookie: number, offset: number, payload = "") =>
  `6e8a278c 0001 ${type} ${number(cookie, 16)} ${number(offset, 16)} ${number(hex(payload).byteLength, 16)} ${payload}`;

tests("the export can do what the server's flags say", async () => {
  const can = ({ remote }: Awaited<ReturnType<typeof attached>>) =>
    (["write", "flush", "trim", "writeZeroes", "cache", "extents"] as const).filter((name) => remote[name]);
  assert.equal(can(await attached(READ_ONLY)), []);
  assert.equal(can(await attached(NO_FLUSH)), ["write"]);
  assert.equal(can(await attached(0x21)), ["write", "trim"]);
  assert.equal(can(await attached(0x41)), ["write", "writeZeroes"]);
  assert.equal(can(await attached(0x401)), ["write", "cache"]);
  assert.equal(can(await attached(ALL)), ["write", "flush", "trim", "writeZeroes", "cache"]);
  assert.equal(can(await attached(ALL | 2)), ["flush", "cache"], "read-only is read-only");
  const { remote } = await chunked("structured", READ_ONLY);
  assert.type(remote.extents, "function");
});

tests("TRIM, WRITE_ZEROES and CACHE as such, with their flags", async () => {
  const { remote, peer } = await attached(ALL);
  const none = { fua: false };
  const all = [
    remote.trim!(1, 2, none),
    remote.trim!(3, 4, { fua: true }),
    remote.writeZeroes!(5, 6),
    remote.writeZeroes!(7, 8, { fua: true, noHole: true, fast: true }),
    remote.cache!(9, 10),
  ];
  await peer.expect(
    request(TRIM, 0, 1, 2) +
      request(TRIM, 1, 3, 4, 1) +
      request(WRITE_ZEROES, 2, 5, 6) +
      request(WRITE_ZEROES, 3, 7, 8, 0b10011) +
      request(CACHE, 4, 9, 10),
  );
  await peer.say([0, 1, 2, 3, 4].map((cookie) => reply(cookie)).join(""));
  await within(1000, "all", Promise.all(all));
});

tests("what has no length needs no server", async () => {
  const { remote, peer } = await attached(ALL);
  await remote.trim!(5, 0);
  await remote.writeZeroes!(5, 0);
  await remote.cache!(5, 0);
  await peer.expectSilence();
});

tests("FUA of TRIM and WRITE_ZEROES where the server has none is a flush behind", async () => {
  for (const [type, start] of [
    [TRIM, "trim"],
    [WRITE_ZEROES, "writeZeroes"],
  ] as const) {
    const { remote, peer } = await attached(ALL & ~8);
    const done = remote[start]!(0, 1, { fua: true });
    await peer.expect(request(type, 0, 0, 1));
    await peer.expectSilence();
    await peer.say(reply(0));
    await peer.expect(request(FLUSH, 1));
    await peer.say(reply(1));
    await within(1000, start, done);
  }
});

tests("fast zeroes where the server does not know them: ENOTSUP, and nothing is sent", async () => {
  const { remote, peer } = await attached(0x41);
  await isErrno(remote.writeZeroes!(0, 1, { fast: true }), Errno.ENOTSUP);
  await peer.expectSilence();
});

tests(
  "TRIM and WRITE_ZEROES know no payload limit: with 32 bits they are split, with 64 they are not",
  async () => {
    const compact = await chunked("structured", ALL, "00000200 00001000 00010000");
    const trimmed = compact.remote.trim!(0, 2 ** 33);
    const length = 0xffff0000;
    await compact.peer.expect(
      request(TRIM, 0, 0, length) + request(TRIM, 1, length, length) + request(TRIM, 2, 2 * length, 0x20000),
    );
    await compact.peer.say([0, 1, 2].map((cookie) => structuredReply("0000", cookie)).join(""));
    await within(1000, "the trim", trimmed);

    const { remote, peer } = await chunked("extended", ALL, "00000200 00001000 00010000");
    const zeroed = remote.writeZeroes!(512, 2 ** 40, { noHole: true });
    await peer.expect(extendedRequest(WRITE_ZEROES, 0, 512, 2 ** 40, 2));
    await peer.say(extendedReply("0000", 0, 512));
    await within(1000, "the zeroes", zeroed);
  },
);

/** A client of a server that takes its time for what has no payload, with what it is asked for at a time, in bytes. */
async function unhurried(timeout: number, work: (length: number, busy: number) => Promise<void>) {
  const asked = { now: 0, most: 0, all: 0 };
  let busy = 0;
  const effect = async (_offset: number, length: number) => {
    busy++;
    asked.now += length;
    asked.most = Math.max(asked.most, asked.now);
    await work(length, busy);
    busy--;
    asked.now -= length;
    asked.all += length;
  };
  const target = { ...memoryExport(new Uint8Array(0)), trim: effect, writeZeroes: effect, cache: effect };
  const [client, server] = transportPair();
  join(server, nbdServer({ ...target, size: 2 ** 40 })).catch(() => {});
  return { remote: await nbdClient(client, { timeout }), asked };
}
const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

tests("what has a timeout asks for no more at a time than 10 MB/s do in half of it", async () => {
  for (const start of ["trim", "writeZeroes", "cache"] as const) {
    const { remote, asked } = await unhurried(30, () => wait(10));
    const length = 2 ** 29 + 12_345;
    await Promise.all([remote[start]!(0, length), remote[start]!(2 ** 39, length)]);
    assert.ok(asked.most <= 150e6 && asked.most > 75e6, `${asked.most} bytes at a time`);
    assert.is(asked.all, 2 * length);
    await remote.close();
  }
});

tests("a server that writes zeroes at 10 MB/s, side by side, is not given up", async () => {
  const { remote, asked } = await unhurried(2, async (length, busy) => {
    for (let left = length; left > 0; left -= 1e6 / busy) await wait(100);
  });
  await remote.writeZeroes!(0, 50e6);
  assert.is(asked.all, 50e6);
  await remote.close();
});

tests("extended: requests and replies, byte by byte", async () => {
  const { remote, peer } = await chunked("extended", ALL);
  const read = remote.read(0x123456789a, 4);
  const written = remote.write!(8, hex("aabbcc"), { fua: true });
  const flushed = remote.flush!();
  const known = remote.extents!(16, 2 ** 40);
  await peer.expect(
    `${extendedRequest(READ, 0, 0x123456789a, 4)} ${extendedRequest(WRITE, 1, 8, 3, 0x21)} aabbcc
     ${extendedRequest(FLUSH, 2, 0, 0)} ${extendedRequest(BLOCK_STATUS, 3, 16, 2 ** 40)}`,
  );
  await peer.say(
    extendedReply(
      "0006",
      3,
      16,
      `0000002a 00000002 ${number(2 ** 39, 16)} ${number(3, 16)} ${number(2 ** 41, 16)} ${number(0, 16)}`,
    ) +
      extendedReply("0000", 2, 0) +
      extendedReply("8001", 1, 8, `0000001c 0004 ${ascii("full")}`) +
      extendedReply("0001", 0, 0x123456789a, `${number(0x123456789a, 16)} 01020304`),
    5,
  );
  assert.equal(await within(1000, "the read", read), hex("01020304"));
  assert.is(
    (await isErrno(written, Errno.ENOSPC)).message,
    'the server answered ENOSPC to WRITE of 3 bytes at 8, "full"',
  );
  await within(1000, "the flush", flushed);
  assert.equal(await within(1000, "the extents", known), [
    { length: 2 ** 39, hole: true, zero: true },
    { length: 2 ** 39, hole: false, zero: false },
  ]);
});

tests("structured: a read of several chunks, and an error's place", async () => {
  const { remote, peer } = await chunked("structured", ALL);
  const read = remote.read(100, 8);
  const bad = remote.read(200, 8);
  await peer.expect(request(READ, 0, 100, 8) + request(READ, 1, 200, 8));
  await peer.say(
    structuredReply("0002", 0, `${number(100, 16)} 00000004`).replace("0001", "0000") +
      structuredReply("8002", 1, `00000005 0000 ${number(203, 16)}`) +
      structuredReply("0001", 0, `${number(104, 16)} 01020304`),
  );
  assert.equal(await within(1000, "the read", read), hex("0000000001020304"));
  assert.is((await isErrno(bad, Errno.EIO)).offset, 203);
});

tests("words of the server about an error are quoted, and cut", async () => {
  const { remote, peer } = await chunked("structured", ALL);
  const read = remote.read(0, 1);
  await taken(peer);
  await peer.say(structuredReply("8001", 0, `00000005 0205 1b0d0a0761 ${"62".repeat(512)}`));
  const { message } = await isErrno(read, Errno.EIO);
  const words = `\\u{1b}\\r\\n\\u{7}a${"b".repeat(59)}…`;
  assert.is(message, `the server answered EIO to READ of 1 bytes at 0, "${words}"`);
});

for (const [headers, chunk] of [
  ["structured", structuredReply],
  ["extended", (type, cookie, payload) => extendedReply(type, cookie, 0, payload)],
] as ["structured" | "extended", typeof structuredReply][]) {
  tests(`a ${headers} reply that goes on after its end: ProtocolError`, async () => {
    const { remote, peer } = await chunked(headers, ALL);
    const read = remote.read(0, 1);
    await peer.take(headers === "extended" ? ExtendedRequest.size : Request.size);
    const data = chunk("0001", 0, `${number(0, 16)} aa`);
    await peer.say(data + data);
    assert.equal(await read, hex("aa"));
    const error = await within(1000, "closed", failure(remote.closed));
    assert.instance(error, ProtocolError);
    assert.match(error.message, /not outstanding, cookie 0x0/);
  });
}

tests("extents are asked about in whole blocks, as many as a request can tell", async () => {
  const { remote, peer } = await chunked("structured", 3, "00000200 00001000 00010000");
  const known = remote.extents!(600, 2 ** 40);
  await peer.expect(request(BLOCK_STATUS, 0, 512, 0xffff0000));
  await peer.say(
    structuredReply("0005", 0, "0000002a 00000200 00000003 00000200 00000000 00000400 00000003"),
  );
  assert.equal(await within(1000, "the extents", known), [
    { length: 424, hole: true, zero: true },
    { length: 512, hole: false, zero: false },
    { length: 1024, hole: true, zero: true },
  ]);
  const few = remote.extents!(600, 10);
  await peer.expect(request(BLOCK_STATUS, 1, 512, 512));
  await peer.say(structuredReply("0005", 1, "0000002a 00000002 00000003"));
  assert.equal(
    await within(1000, "the extents", few),
    [{ length: 10, hole: false, zero: false }],
    "less than the block that was asked about says nothing of what is in it",
  );
});

tests(
  "a narrow window: of a long range one extent is asked for, and where that is short all of a short range",
  async () => {
    const window = { outstanding: 1 << 15, request: 1 << 13 };
    const { remote, peer } = await chunked("structured", 3, "", { window });
    // 8 KiB are 1,024 descriptors, each of a sector at least.
    const few = 1 << 19;
    const long = remote.extents!(0, 1 << 30);
    await peer.expect(request(BLOCK_STATUS, 0, 0, 1 << 30, 8));
    await peer.say(structuredReply("0005", 0, `0000002a ${number(few, 8)} 00000000`));
    assert.equal(await within(1000, "the extents", long), [{ length: few, hole: false, zero: false }]);
    const short = remote.extents!(few, 1 << 29);
    await peer.expect(request(BLOCK_STATUS, 1, few, 1 << 29, 8));
    await peer.say(structuredReply("0005", 1, "0000002a 00000200 00000000"));
    await peer.expect(request(BLOCK_STATUS, 2, few, few));
    await peer.say(structuredReply("0005", 2, "0000002a 00000200 00000000 00000400 00000003"));
    assert.equal(await within(1000, "the extents", short), [
      { length: 512, hole: false, zero: false },
      { length: 1024, hole: true, zero: true },
    ]);
  },
);

tests("what is not aligned is padded where it is read or cached; a write is left to the server", async () => {
  const { remote, peer } = await attached(ALL, {}, "00000200 00001000 00010000");
  assert.equal(remote.blockSize, { minimum: 512, preferred: 4096, maximum: 1 << 25 });
  const read = remote.read(1000, 30);
  await peer.expect(request(READ, 0, 512, 1024));
  await peer.say(concat([hex(reply(0)), sequence(1024, 512)]));
  assert.equal(await within(1000, "the read", read), sequence(30, 1000));
  const atTheEnd = remote.read(SIZE - 1, 1);
  await peer.expect(request(READ, 1, SIZE - 512, 512));
  await peer.say(concat([hex(reply(1)), sequence(512)]));
  assert.equal(await within(1000, "the read", atTheEnd), sequence(1, 511));
  remote.cache!(1000, 30).catch(() => {});
  await peer.expect(request(CACHE, 2, 512, 1024));
  remote.write!(1000, hex("aa")).catch(() => {});
  await peer.expect(`${request(WRITE, 3, 1000, 1)} aa`);
});

tests("a long read that is not aligned is split into what is", async () => {
  const { remote, peer } = await attached(READ_ONLY, {}, "00001000 00001000 00010000");
  const read = remote.read(1, 1 << 17);
  const requests = [await taken(peer), await taken(peer), await taken(peer)];
  assert.equal(
    requests.map(({ offset, length }) => [offset, length]),
    [
      [0, 1 << 16],
      [1 << 16, 1 << 16],
      [1 << 17, 4096],
    ],
  );
  for (const { cookie, offset, length } of requests) {
    await peer.say(concat([hex(reply(cookie)), sequence(length, offset)]));
  }
  assert.equal(await within(5000, "the read", read), sequence(1 << 17, 1));
});

tests("a flush after the link has gone fails, whatever was confirmed before", async () => {
  const { remote, peer } = await attached(FULL);
  const written = remote.write!(0, hex("aa"));
  await taken(peer);
  await peer.say(reply(0));
  await within(1000, "the write", written);
  await peer.hangUp();
  await within(1000, "closed", remote.closed);
  await isErrno(remote.flush!(), Errno.EIO);
});

tests.run();

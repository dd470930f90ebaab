/**
 * What has broken other implementations of NBD, each once for the server and once for the client where it applies to
 * both. What broke the programs around them, their sockets and their web servers, is in test/system/what-broke-others.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../src/export/error.ts";
import type { BlockSize, Export } from "../../src/export/export.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { type RemoteExport, remoteExport } from "../../src/nbd/client/remote-export.ts";
import { Command, Info, Option, Reply } from "../../src/nbd/constants.ts";
import { LinkError, ProtocolError, RefusedError } from "../../src/nbd/error.ts";
import {
  ClientFlags,
  ExtendedRequest,
  OptionReply,
  OptionRequest,
  Request,
  SimpleReply,
} from "../../src/nbd/messages.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import type { Negotiated } from "../../src/nbd/transmission.ts";
import { concat } from "../../src/streams/concat.ts";
import { Ended } from "../../src/streams/ended.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../src/streams/parse.ts";
import { collectBytes, cut, failure, hex, sequence, settled, toHex } from "../bytes.ts";
import { within } from "../harness.ts";
import { serveBytes } from "./hostile.ts";
import { Peer } from "./peer.ts";

const SIZE = 1 << 20;
const GIB = 2 ** 30;
const none = new Uint8Array(0);
const hexOf = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/* The client's words, to our server. */

const flags = ClientFlags.encode({ flags: 3 });
const option = (type: number, data: Uint8Array = none, length = data.byteLength) =>
  concat([OptionRequest.encode({ option: type, length }), data]);
const named = (name: Uint8Array, nameLength = name.byteLength, wanted: readonly number[] = []) =>
  concat([
    hex(hexOf(nameLength, 8)),
    name,
    hex(hexOf(wanted.length, 4)),
    ...wanted.map((type) => hex(hexOf(type, 4))),
  ]);
const text = (words: string) => new TextEncoder().encode(words);
const go = option(Option.GO, named(none));
const request = (type: number, cookie: number, offset = 0, length = 0, payload: Uint8Array = none) =>
  concat([Request.encode({ type, flags: 0, cookie: BigInt(cookie), offset, length }), payload]);
const disc = request(Command.DISC, 0xd15c);

/** What our server answered to options: option and type of each reply, and where the transmission phase begins. */
function optionReplies(said: Uint8Array): { replies: [number, number][]; rest: Uint8Array } {
  const replies: [number, number][] = [];
  let at = 18;
  while (at + OptionReply.size <= said.byteLength && toHex(said.slice(at, at + 8)) === "0003e889045565a9") {
    const { option, type, length } = OptionReply.decode(said.subarray(at));
    replies.push([option, type]);
    at += OptionReply.size + length;
  }
  return { replies, rest: said.slice(at) };
}

/** Has a client say all this to our server. */
async function say(words: Uint8Array[], target: Export = memoryExport(sequence(SIZE)), name = "disk") {
  const { said, error } = await serveBytes(nbdServer(target, { name }), [concat(words)]);
  return { ...optionReplies(said), error };
}

/** The errors of simple replies that carry no data, by cookie. */
function errorsOf(rest: Uint8Array): Map<number, number> {
  const errors = new Map<number, number>();
  for (let at = 0; at < rest.byteLength; at += SimpleReply.size) {
    const { cookie, error } = SimpleReply.decode(rest.subarray(at));
    errors.set(Number(cookie), error);
  }
  return errors;
}

const spoken = (replies: [number, number][], option: number) =>
  replies.filter(([to]) => to === option).map(([, type]) => type);

/* The server's words, to our client. */

const optionReply = (type: number, data: Uint8Array = none, length = data.byteLength) =>
  concat([OptionReply.encode({ option: Option.GO, type, length }), data]);
const exportInfo = (size = hexOf(SIZE, 16), transmission = "000d") =>
  optionReply(Reply.INFO, hex(`0000 ${size} ${transmission}`));
const ack = optionReply(Reply.ACK);
const simple = (cookie: bigint, error = 0, data: Uint8Array = none) =>
  concat([SimpleReply.encode({ cookie, error }), data]);

/** A client in mid-handshake: every option but GO was answered with UNSUP, GO is what the test answers. */
async function asking(name = ""): Promise<{ peer: Peer; opened: Promise<RemoteExport> }> {
  const [client, server] = transportPair();
  const opened = nbdClient(client, { name });
  opened.catch(() => {});
  const peer = new Peer(server);
  await peer.say("4e42444d41474943 49484156454f5054 0003");
  await peer.take(ClientFlags.size);
  for (;;) {
    const { option, length } = OptionRequest.decode(await peer.take(OptionRequest.size));
    await peer.take(length);
    if (option === Option.GO) return { peer, opened };
    await peer.say(OptionReply.encode({ option, type: Reply.ERR_UNSUP, length: 0 }));
  }
}

/** A client that has an export of 1 MiB, writable. */
async function attached() {
  const { peer, opened } = await asking();
  await peer.say(concat([exportInfo(), ack]));
  const remote = await within(5000, "the handshake", opened);
  return { peer, remote };
}

/** The next request that the client sent, without a payload. */
const asked = async (peer: Peer) => Request.decode(await peer.take(Request.size));

/** How the client ends where GO is answered like this. */
async function refusedGo(words: Uint8Array): Promise<Error> {
  const { peer, opened } = await asking();
  await peer.say(words);
  return within(5000, "the end", failure(opened));
}

const lengths = suite("CVE-2022-26495, CVE-2022-26496 (nbd-server): lengths of names and options");

for (const type of [Option.GO, Option.INFO]) {
  lengths(`server: option ${type} with a name length of 0xffffffff`, async () => {
    for (const nameLength of [0xffffffff, 0xfffffffe, 0x7fffffff, 0x80000000]) {
      const { replies, error } = await say([flags, option(type, named(text("disk"), nameLength)), go, disc]);
      assert.is(error, undefined);
      assert.equal(replies[0], [type, Reply.ERR_INVALID]);
      assert.equal(replies.at(-1), [Option.GO, Reply.ACK]);
    }
  });
}

lengths("server: EXPORT_NAME with a length of 0xffffffff, none of which is held", async () => {
  const { error, replies } = await say([flags, option(Option.EXPORT_NAME, sequence(5000), 0xffffffff)]);
  assert.instance(error, UnexpectedEndError);
  assert.equal(replies, []);
});

lengths(
  "server: option data longer than 1,024 bytes, of every option and of none that there is",
  async () => {
    for (const length of [1025, 4096, 65_535, 65_536, 65_537, 200_000]) {
      const options = [Option.LIST, Option.INFO, Option.STRUCTURED_REPLY, Option.STARTTLS, 0x12345678];
      const { error, replies } = await say([
        flags,
        ...options.map((type) => option(type, sequence(length))),
        go,
        disc,
      ]);
      assert.is(error, undefined);
      for (const [i, type] of options.entries()) {
        assert.is(replies[i]![0], type);
        assert.ok(replies[i]![1] >= 0x80000000, `option ${type} of ${length} bytes is an error`);
      }
      assert.equal(replies.at(-1), [Option.GO, Reply.ACK]);
    }
  },
);

lengths("server: 30,000 information requests are legal", async () => {
  const wanted = Array.from({ length: 30_000 }, (_, i) => i);
  const { replies } = await say([flags, option(Option.GO, named(none, 0, wanted)), disc]);
  assert.equal(replies.at(-1), [Option.GO, Reply.ACK]);
});

lengths("client: reply data of 0xffffffff bytes is not waited for", async () => {
  for (const type of [Reply.INFO, Reply.ERR_UNKNOWN, Reply.ACK]) {
    assert.instance(await refusedGo(optionReply(type, none, 0xffffffff)), ProtocolError);
  }
});

lengths("client: a refusal in 4,096 bytes is understood, and shown in few", async () => {
  const error = await refusedGo(optionReply(Reply.ERR_POLICY, text("no".repeat(2048))));
  assert.instance(error, RefusedError);
  assert.ok(error.message.length < 300);
});

lengths.run();

const names = suite("CVE-2017-15118 (qemu): legal names of 257 to 4,096 bytes");

for (const length of [257, 1024, 4095, 4096]) {
  names(`server: ${length} bytes, of the export and of one that there is not`, async () => {
    const name = "n".repeat(length);
    for (const type of [Option.INFO, Option.GO]) {
      const wanted = [Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE];
      const { replies } = await say(
        [
          flags,
          option(type, named(text(`m${name.slice(1)}`))),
          option(type, named(text(name), length, wanted)),
          ...(type === Option.INFO ? [go] : []),
          disc,
        ],
        undefined,
        name,
      );
      assert.equal(replies[0], [type, Reply.ERR_UNKNOWN]);
      assert.equal(replies.slice(1, 3), [
        [type, Reply.INFO],
        [type, Reply.INFO],
      ]);
    }
    const { rest } = await say([flags, option(Option.EXPORT_NAME, text(name)), disc], undefined, name);
    assert.is(toHex(rest.slice(0, 8)), hexOf(SIZE, 16));
  });

  names(`client: ${length} bytes, of what it asks for and of what it is told`, async () => {
    const name = "n".repeat(length);
    const { peer, opened } = await asking(name);
    const told = concat([hex("0001"), text(name)]);
    const description = concat([hex("0002"), text(name)]);
    await peer.say(
      concat([exportInfo(), optionReply(Reply.INFO, told), optionReply(Reply.INFO, description), ack]),
    );
    assert.is((await within(5000, "the handshake", opened)).name, name);
  });
}

names.run();

const order = suite("CVE-2019-14850, CVE-2019-14851 (nbdkit): everything in its order");

/** An export that counts what is asked of it. */
function watched() {
  const target = memoryExport(sequence(SIZE));
  let calls = 0;
  const counted = Object.fromEntries(
    Object.entries(target).map(([key, value]) => [
      key,
      typeof value === "function"
        ? (...args: never[]) => {
            calls++;
            return (value as (...args: never[]) => unknown)(...args);
          }
        : value,
    ]),
  ) as unknown as Export;
  return {
    target: counted,
    get calls() {
      return calls;
    },
  };
}

order("server: nothing is asked of the export before negotiation is over", async () => {
  const watch = watched();
  const { replies } = await say(
    [
      flags,
      option(Option.LIST),
      option(Option.INFO, named(none)),
      option(Option.GO, named(text("other"))),
      option(Option.STRUCTURED_REPLY),
      option(Option.SET_META_CONTEXT, concat([named(none, 0).subarray(0, 4), hex("00000000")])),
      option(Option.GO, named(text("disk"))),
      disc,
    ],
    watch.target,
  );
  assert.equal(replies.at(-1), [Option.GO, Reply.ACK]);
  assert.is(watch.calls, 0);
});

for (const [what, words] of [
  ["a request in place of the client's flags", [request(Command.READ, 1, 0, 16)]],
  ["a request in place of an option", [flags, request(Command.READ, 1, 0, 16)]],
  ["a request after INFO", [flags, option(Option.INFO, named(none)), request(Command.READ, 1, 0, 16)]],
  ["an option in place of the client's flags", [go]],
  ["the client's flags twice", [flags, flags, go]],
  ["GO after GO", [flags, go, go]],
  ["an option after EXPORT_NAME", [flags, option(Option.EXPORT_NAME), option(Option.LIST)]],
  ["ABORT in the transmission phase", [flags, go, option(Option.ABORT)]],
] as const) {
  order(`server: ${what} is a ProtocolError, and nothing is asked of the export`, async () => {
    const watch = watched();
    // What comes next, so that a message that is longer than the wrong one is complete.
    const { error } = await say([...words, new Uint8Array(28)], watch.target);
    assert.instance(error, ProtocolError);
    assert.is(watch.calls, 0);
  });
}

order("server: GO after a GO that failed, and INFO any number of times", async () => {
  const info = option(Option.INFO, named(text("disk")));
  const { replies, error } = await say([
    flags,
    option(Option.GO, named(text("x"))),
    info,
    info,
    info,
    go,
    disc,
  ]);
  assert.is(error, undefined);
  assert.equal(spoken(replies, Option.GO), [Reply.ERR_UNKNOWN, Reply.INFO, Reply.ACK]);
  assert.equal(spoken(replies, Option.INFO), [
    Reply.INFO,
    Reply.ACK,
    Reply.INFO,
    Reply.ACK,
    Reply.INFO,
    Reply.ACK,
  ]);
});

for (const [what, words] of [
  ["a reply to a request", concat([simple(0n), ack])],
  ["ACK without the size", ack],
  ["an answer to another option", OptionReply.encode({ option: Option.LIST, type: Reply.ACK, length: 0 })],
  ["SERVER in reply to GO", optionReply(Reply.SERVER, hex("00000000"))],
] as const) {
  order(`client: ${what} is a ProtocolError`, async () => {
    assert.instance(await refusedGo(words), ProtocolError);
  });
}

order("client: an option's reply in the transmission phase is a ProtocolError", async () => {
  const { peer, remote } = await attached();
  const read = failure(remote.read(0, 16));
  await asked(peer);
  await peer.say(ack);
  assert.is(((await within(5000, "the read", read)) as ExportError).errno, Errno.EIO);
  assert.instance(await within(5000, "the end", failure(remote.closed)), ProtocolError);
});

order.run();

const tls = suite("CVE-2021-3716 (nbdkit): what was said in plaintext before STARTTLS");

tls("server: STARTTLS is refused, with data and without, and nothing else changes", async () => {
  const { replies, error } = await say([
    flags,
    option(Option.STARTTLS),
    option(Option.STARTTLS, sequence(8)),
    option(Option.LIST),
    go,
    disc,
  ]);
  assert.is(error, undefined);
  assert.equal(
    spoken(replies, Option.STARTTLS).map((type) => type >= 0x80000000),
    [true, true],
  );
  assert.equal(spoken(replies, Option.LIST), [Reply.SERVER, Reply.ACK]);
  assert.equal(replies.at(-1), [Option.GO, Reply.ACK]);
});

tls(
  "client: a server that wants TLS is refused by name; the export is not asked for in plaintext",
  async () => {
    const error = await refusedGo(optionReply(Reply.ERR_TLS_REQD));
    assert.instance(error, RefusedError);
    assert.match(error.message, /ERR_TLS_REQD/);
  },
);

tls.run();

const status = suite("CVE-2025-47711, CVE-2025-47712 (nbdkit): BLOCK_STATUS of nearly 4 GiB");

for (const [offset, length] of [
  [0, 0xffffffff],
  [0, 0xfffffe00],
  [GIB, 0xfffffe01],
  [5 * GIB - 0xffffffff, 0xffffffff],
  [2 * GIB, 0xffffffff],
] as const) {
  status(
    `server: ${length} bytes at ${offset}, without a context: EINVAL, and the session goes on`,
    async () => {
      const target = { ...memoryExport(none), size: 5 * GIB };
      const words = [
        flags,
        go,
        request(Command.BLOCK_STATUS, 1, offset, length),
        request(Command.FLUSH, 2),
        disc,
      ];
      const { rest, error } = await say(words, target);
      assert.is(error, undefined);
      assert.equal(
        errorsOf(rest),
        new Map([
          [1, Errno.EINVAL],
          [2, 0],
        ]),
      );
    },
  );
}
/** An export of 5 GiB of which all is a hole, told in one extent that reaches as far as the export does. */
const hollow = (blockSize?: BlockSize): Export => ({
  ...memoryExport(none, { readOnly: true }),
  size: 5 * GIB,
  extents: async (offset) => [{ length: 5 * GIB - offset, hole: true, zero: true }],
  ...(blockSize && { blockSize }),
});
const selectAllocation = option(
  Option.SET_META_CONTEXT,
  concat([hex("00000000 00000001 0000000f"), text("base:allocation")]),
);
const blocks = { minimum: 512, preferred: 4096, maximum: 1 << 25 };

for (const [offset, length, target] of [
  [0, 0xffffffff, hollow()],
  [5 * GIB - 0xffffffff, 0xffffffff, hollow()],
  [2 * GIB, 0x80000001, hollow()],
  [0, 0xfffffe00, hollow(blocks)],
  [GIB + 512, 0xfffffe00, hollow(blocks)],
] as const) {
  const minimum = target.blockSize?.minimum ?? 1;
  status(
    `server: ${length} bytes at ${offset}, in blocks of ${minimum}: what is told covers them and no more`,
    async () => {
      const ask = request(Command.BLOCK_STATUS, 1, offset, length);
      const words = [flags, option(Option.STRUCTURED_REPLY), selectAllocation, go, ask, disc];
      const { rest, error } = await say(words, target);
      assert.is(error, undefined);
      assert.is(
        toHex(rest),
        toHex(hex(`668e33ef 0001 0005 ${hexOf(1, 16)} 0000000c 00000001 ${hexOf(length, 8)} 00000003`)),
      );
    },
  );
}

for (const [offset, length] of [
  [0, 0xffffffff],
  [0, 4 * GIB],
  [GIB - 1, 4 * GIB + 1],
  [0, 5 * GIB],
] as const) {
  status(`server: ${length} bytes at ${offset}, with extended headers: told in 64 bits`, async () => {
    const ask = ExtendedRequest.encode({ flags: 0, type: Command.BLOCK_STATUS, cookie: 1n, offset, length });
    const end = ExtendedRequest.encode({ flags: 0, type: Command.DISC, cookie: 0n, offset: 0, length: 0 });
    const words = [flags, option(Option.EXTENDED_HEADERS), selectAllocation, go, ask, end];
    const { rest, error } = await say(words, hollow());
    assert.is(error, undefined);
    const header = `6e8a278c 0001 0006 ${hexOf(1, 16)} ${hexOf(offset, 16)} ${hexOf(24, 16)}`;
    assert.is(toHex(rest), toHex(hex(`${header} 00000001 00000001 ${hexOf(length, 16)} ${hexOf(3, 16)}`)));
  });
}

/** A client that has a read-only export of 5 GiB whose replies have headers of a kind, with `base:allocation`. */
function reading(headers: NonNullable<Negotiated["headers"]>, blockSize?: BlockSize) {
  const [client, server] = transportPair();
  const announced = { size: 5 * GIB, flags: 0x83, headers, allocation: 1, ...(blockSize && { blockSize }) };
  const remote = remoteExport(announced, client, client, 0);
  return { peer: new Peer(server), remote };
}

const structured = (type: number, cookie: bigint, payload: string, length = hex(payload).byteLength) =>
  hex(
    `668e33ef 0001 ${hexOf(type, 4)} ${cookie.toString(16).padStart(16, "0")} ${hexOf(length, 8)} ${payload}`,
  );

for (const [what, descriptors] of [
  ["as long as was asked", "LENGTH 00000003"],
  ["4 GiB - 1, which is longer", "ffffffff 00000003"],
  ["a block, and then 4 GiB - 1", "00000200 00000003 ffffffff 00000003"],
] as const) {
  status(`client: nearly 4 GiB, not aligned: asked in 32 bits, and told ${what}`, async () => {
    const { peer, remote } = reading("structured", blocks);
    const extents = remote.extents!(1, 0xffffffff);
    const { type, cookie, offset, length } = await asked(peer);
    assert.is(type, Command.BLOCK_STATUS);
    assert.is(offset, 0);
    assert.is(length, 0xffff0000);
    await peer.say(structured(5, cookie, `00000001 ${descriptors.replace("LENGTH", hexOf(length, 8))}`));
    const told = await within(5000, "the extents", extents);
    // From where it was asked to where the answer ended.
    assert.is(
      told.reduce((sum, extent) => sum + extent.length, 0),
      length - 1,
    );
    assert.ok(told.every(({ hole, zero }) => hole && zero));
  });
}

status("client: extents whose sum goes beyond 4 GiB and on are a ProtocolError", async () => {
  const { peer, remote } = reading("structured");
  const extents = failure(remote.extents!(0, 0xffffffff));
  const { cookie } = await asked(peer);
  await peer.say(structured(5, cookie, "00000001 ffffffff 00000003 ffffffff 00000000"));
  assert.is(((await within(5000, "the extents", extents)) as ExportError).errno, Errno.EIO);
  assert.instance(await failure(remote.closed), ProtocolError);
});

for (const length of ["0000000100000000", "0000000140000000", "ffffffffffffffff"]) {
  status(`client: with extended headers, 5 GiB are asked about at once, and 0x${length} told`, async () => {
    const { peer, remote } = reading("extended");
    const extents = remote.extents!(0, 5 * GIB);
    const asking = ExtendedRequest.decode(await peer.take(ExtendedRequest.size));
    assert.is(asking.length, 5 * GIB);
    const payload = `00000001 00000001 ${length} 0000000000000003`;
    await peer.say(`6e8a278c 0001 0006 ${hexOf(0, 16)} ${hexOf(0, 16)} ${hexOf(24, 16)} ${payload}`);
    const [extent, ...more] = await within(5000, "the extents", extents);
    assert.equal(more, []);
    assert.equal(extent, {
      length: Math.min(Number(BigInt(`0x${length}`)), 5 * GIB),
      hole: true,
      zero: true,
    });
  });
}

status.run();

const sizes = suite("CVE-2023-5215, CVE-2023-5871 (libnbd): numbers that read as negative");

const negative = [
  "8000000000000000",
  "ffffffffffffffff",
  "7fffffffffffffff",
  "0020000000000000",
  "fffffffffffffe00",
];

for (const size of negative) {
  sizes(`client: an export of 0x${size} bytes, by GO`, async () => {
    assert.instance(await refusedGo(concat([exportInfo(size), ack])), ProtocolError);
  });

  sizes(`client: an export of 0x${size} bytes, by EXPORT_NAME`, async () => {
    const [client, server] = transportPair();
    const opened = nbdClient(client);
    opened.catch(() => {});
    const peer = new Peer(server);
    await peer.say("4e42444d41474943 49484156454f5054 0002");
    await peer.take(ClientFlags.size + OptionRequest.size);
    await peer.say(`${size} 0001`);
    assert.instance(await within(5000, "the end", failure(opened)), ProtocolError);
  });
}

for (const [type, error] of [
  [Command.READ, Errno.EINVAL],
  [Command.WRITE, Errno.ENOSPC],
] as const) {
  sizes(
    `server: ${type === Command.READ ? "READ" : "WRITE"} at offsets beyond the export, up to 2^64 - 1`,
    async () => {
      const payload = type === Command.WRITE ? sequence(16) : none;
      const requests = negative.map((offset, i) => {
        const words = request(type, i, 0, 16, payload);
        words.set(hex(offset), 16);
        return words;
      });
      const { rest, error: end } = await say([flags, go, ...requests, disc]);
      assert.is(end, undefined);
      assert.equal(errorsOf(rest), new Map(negative.map((_, i) => [i, error])));
    },
  );
}
for (const [bits, isFine] of [
  ["00000000ffffffff", true],
  ["0000000100000003", false],
  ["8000000000000000", false],
  ["ffffffffffffffff", false],
] as const) {
  sizes(
    `client: a status of 64 bits, 0x${bits}, ${isFine ? "is understood" : "is a ProtocolError"}`,
    async () => {
      const { peer, remote } = reading("extended");
      const extents = remote.extents!(0, 4096);
      extents.catch(() => {});
      await peer.take(ExtendedRequest.size);
      const payload = `00000001 00000001 0000000000001000 ${bits}`;
      await peer.say(`6e8a278c 0001 0006 ${hexOf(0, 16)} ${hexOf(0, 16)} ${hexOf(24, 16)} ${payload}`);
      if (isFine) {
        assert.equal(await within(5000, "the extents", extents), [{ length: 4096, hole: true, zero: true }]);
        return;
      }
      assert.is(((await within(5000, "the extents", failure(extents))) as ExportError).errno, Errno.EIO);
      assert.instance(await failure(remote.closed), ProtocolError);
    },
  );
}

sizes.run();

const errors = suite("CVE-2022-0485 (libnbd): an error of a read is an error");

errors("client: one piece of a long read that fails fails the read, whatever the others gave", async () => {
  const { peer, remote } = await attached();
  const read = failure(remote.read(0, 1 << 20));
  const pieces = [await asked(peer), await asked(peer), await asked(peer), await asked(peer)];
  for (const [i, { cookie, length }] of pieces.entries()) {
    await peer.say(i === 2 ? simple(cookie, Errno.EIO) : simple(cookie, 0, sequence(length)));
  }
  const error = await within(5000, "the read", read);
  assert.instance(error, ExportError);
  assert.is((error as ExportError).errno, Errno.EIO);
  const next = remote.read(16, 16);
  await peer.say(simple((await asked(peer)).cookie, 0, sequence(16)));
  assert.equal(await within(5000, "the next read", next), sequence(16));
});

errors("client: an error that NBD does not define, and one of all bits, are errors too", async () => {
  const { peer, remote } = await attached();
  for (const value of [1000, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const read = failure(remote.read(0, 16));
    await peer.say(simple((await asked(peer)).cookie, value));
    assert.instance(await within(5000, "the read", read), ExportError);
  }
});

for (const [what, read, errno] of [
  ["fails", () => Promise.reject(new ExportError(Errno.ENOMEM, "no memory")), Errno.ENOMEM],
  ["fails with something else", () => Promise.reject(new TypeError("a defect")), Errno.EIO],
  ["gives too little", async () => new Uint8Array(15), Errno.EIO],
  ["gives too much", async () => new Uint8Array(17), Errno.EIO],
] as const) {
  errors(`server: a read that ${what} is answered with an errno and no data`, async () => {
    const target: Export = { ...memoryExport(sequence(SIZE)), read };
    const { rest } = await say(
      [flags, go, request(Command.READ, 1, 0, 16), request(Command.FLUSH, 2), disc],
      target,
    );
    assert.equal([...errorsOf(rest)].sort(), [
      [1, errno],
      [2, 0],
    ]);
  });
}

errors.run();

const allocation = suite("nbd #135 and the first JavaScript server: lengths that are believed");

for (const length of [0xffffffff, 0x80000000, (1 << 25) + 1]) {
  allocation(`server: READ of ${length} bytes is EINVAL, on an export that has them`, async () => {
    let reads = 0;
    const target: Export = {
      ...memoryExport(none),
      size: 2 ** 53 - 1,
      async read() {
        reads++;
        return none;
      },
    };
    const { rest } = await say([flags, go, request(Command.READ, 1, 0, length), disc], target);
    assert.equal(errorsOf(rest), new Map([[1, Errno.EINVAL]]));
    assert.is(reads, 0);
  });

  allocation(`server: WRITE of ${length} bytes is not waited for in memory`, async () => {
    const { error } = await say([flags, go, request(Command.WRITE, 1, 0, length, sequence(100_000))]);
    assert.instance(error, UnexpectedEndError);
  });
}

allocation("server: 10,000 READs whose replies nobody takes: few are begun", async () => {
  let reads = 0;
  const target: Export = {
    ...memoryExport(none),
    size: SIZE,
    async read(_offset, length) {
      reads++;
      return new Uint8Array(length);
    },
  };
  const [client, server] = transportPair();
  const over = join(server, nbdServer(target));
  over.catch(() => {});
  const writer = client.writable.getWriter();
  writer.closed.catch(() => {});
  writer.write(concat([flags, go])).catch(() => {});
  for (let i = 0; i < 10_000; i++) writer.write(request(Command.READ, i, 0, 1 << 16)).catch(() => {});
  await settled();
  assert.ok(reads > 1, "some are begun");
  assert.ok(reads <= 256, `${reads} reads of 64 KiB were begun, where there is room for 16 MiB`);
  client.close(new Error("enough"));
  await within(
    5000,
    "the session",
    over.catch(() => {}),
  );
});

for (const length of [0xffffffff, 0x80000000, 0x7fffffff, (1 << 24) + 1]) {
  allocation(`client: chunks of ${length} bytes, of every type, are not waited for`, async () => {
    for (const type of [0, 1, 2, 5, 0x8001, 0x8002, 9]) {
      const { peer, remote } = reading("structured");
      const read = failure(remote.read(0, 512));
      const { cookie } = await asked(peer);
      await peer.say(structured(type, cookie, "", length));
      assert.is(((await within(5000, "the read", read)) as ExportError).errno, Errno.EIO);
      assert.instance(await failure(remote.closed), ProtocolError);
    }
  });
}

for (const length of ["ffffffffffffffff", "8000000000000000", "0000000100000008"]) {
  allocation(`client: chunks of 0x${length} bytes, of every type, are not waited for`, async () => {
    for (const type of [0, 1, 2, 6, 0x8001, 0x8002, 9]) {
      const { peer, remote } = reading("extended");
      const read = failure(remote.read(0, 512));
      await peer.take(ExtendedRequest.size);
      await peer.say(`6e8a278c 0001 ${hexOf(type, 4)} ${hexOf(0, 16)} ${hexOf(0, 16)} ${length}`);
      assert.is(((await within(5000, "the read", read)) as ExportError).errno, Errno.EIO);
      assert.instance(await failure(remote.closed), ProtocolError);
    }
  });
}

/** How many bytes are copied from array to array while something is done. */
async function copied(work: () => Promise<void>): Promise<number> {
  const { set } = Uint8Array.prototype;
  let bytes = 0;
  Uint8Array.prototype.set = function (this: Uint8Array, from: ArrayLike<number>, at?: number) {
    bytes += from.length;
    set.call(this, from, at);
  };
  try {
    await work();
  } finally {
    Uint8Array.prototype.set = set;
  }
  return bytes;
}

/** The pieces in which data comes, and how many bytes it has in all. */
const PIECE = 64;
const PIECES = 4096 * PIECE;

allocation("server: a WRITE in thousands of pieces is not copied for each of them", async () => {
  const image = new Uint8Array(PIECES);
  const payload = sequence(PIECES);
  const words = [concat([flags, go]), ...cut(request(Command.WRITE, 1, 0, PIECES, payload), PIECE), disc];
  const bytes = await copied(async () => {
    const { error } = await serveBytes(nbdServer(memoryExport(image)), words);
    assert.is(error, undefined);
  });
  assert.is(Buffer.compare(image, payload), 0);
  // Gathered, put together, and into the image.
  assert.ok(bytes < 4 * PIECES, `${bytes} bytes were copied`);
});

allocation("client: the reply to a READ in thousands of pieces is not copied for each of them", async () => {
  const { peer, remote } = await attached();
  const read = remote.read(0, PIECES);
  const { cookie, length } = await asked(peer);
  assert.is(length, PIECES);
  const reply = simple(cookie, 0, sequence(length));
  const bytes = await copied(async () => {
    await peer.say(reply, PIECE);
    assert.is(Buffer.compare((await within(20_000, "the read", read)) as Uint8Array, sequence(length)), 0);
  });
  assert.ok(bytes < 4 * PIECES, `${bytes} bytes were copied`);
});

allocation.run();

const cookies = suite("kernel nbd: replies with unknown and repeated cookies");

cookies("client: an unknown cookie is a ProtocolError, and what is outstanding fails", async () => {
  for (const cookie of [1n, 2n ** 64n - 1n, 2n ** 63n]) {
    const { peer, remote } = await attached();
    const read = failure(remote.read(0, 16));
    await asked(peer);
    await peer.say(simple(cookie, 0, sequence(16)));
    assert.is(((await within(5000, "the read", read)) as ExportError).errno, Errno.EIO);
    assert.instance(await failure(remote.closed), ProtocolError);
  }
});

cookies("client: a cookie that was answered is unknown, at once and later", async () => {
  for (const together of [true, false]) {
    const { peer, remote } = await attached();
    const read = remote.read(0, 16);
    const { cookie } = await asked(peer);
    const reply = simple(cookie, 0, sequence(16));
    if (together) await peer.say(concat([reply, reply]));
    else {
      await peer.say(reply);
      await read;
      await peer.say(reply);
    }
    assert.equal(await within(5000, "the read", read), sequence(16));
    assert.instance(await failure(remote.closed), ProtocolError);
  }
});

cookies("client: a reply where nothing was ever asked", async () => {
  const { peer, remote } = await attached();
  await peer.say(simple(0n));
  assert.instance(await within(5000, "the end", failure(remote.closed)), ProtocolError);
});

cookies(
  "server: a cookie that is outstanding already is the client's business: both are answered",
  async () => {
    const { rest, error } = await say([
      flags,
      go,
      request(Command.FLUSH, 7),
      request(Command.FLUSH, 7),
      disc,
    ]);
    assert.is(error, undefined);
    assert.is(toHex(rest), toHex(concat([simple(7n), simple(7n)])));
  },
);

cookies.run();

const farewell = suite("CVE-2024-7409 (qemu): a peer that holds its end open");

farewell(
  "client: close() of a server that answers nothing and does not hang up ends all the same",
  async () => {
    const { peer, remote } = await attached();
    const read = failure(remote.read(0, 16));
    await asked(peer);
    await within(10_000, "close()", remote.close());
    const error = (await within(5000, "the read", read)) as ExportError;
    assert.is(error.errno, Errno.EIO);
    assert.instance(error.cause, LinkError);
  },
);

for (const [when, words] of [
  ["before its flags", none],
  ["in the handshake", flags],
  ["in the middle of an option", concat([flags, go.subarray(0, 12)])],
  ["in the transmission phase", concat([flags, go])],
  ["in the middle of a request", concat([flags, go, request(Command.READ, 1).subarray(0, 20)])],
  ["in the middle of a WRITE", concat([flags, go, request(Command.WRITE, 1, 0, 4096, sequence(100))])],
] as const) {
  farewell(`server: a client that stays, silent, ${when}: the end that is asked for comes`, async () => {
    const ending = new AbortController();
    const [client, server] = transportPair();
    const served = nbdServer(memoryExport(sequence(SIZE)), { signal: ending.signal });
    const over = join(server, served).then(
      () => undefined,
      (error: unknown) => error,
    );
    // It takes in what it is told, and that is all that it does.
    collectBytes(client.readable).catch(() => {});
    const writer = client.writable.getWriter();
    writer.closed.catch(() => {});
    writer.write(words.slice()).catch(() => {});
    await settled();
    ending.abort(new Ended("the server ends"));
    const error = await within(5000, "the end", over);
    assert.ok(error === undefined || error instanceof Ended, String(error));
  });
}

farewell.run();

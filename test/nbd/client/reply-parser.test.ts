import { suite } from "uvu";
import * as assert from "uvu/assert";
import { replyParsers } from "../../../src/nbd/client/reply-parser.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import type { NbdReply, NbdRequest } from "../../../src/nbd/transmission.ts";
import { concat } from "../../../src/streams/concat.ts";
import { parse, UnexpectedEndError } from "../../../src/streams/parse.ts";
import { collect, cut, failure, hex, source } from "../../bytes.ts";

const tests = suite("reply parser");

/** Replies as they come out of bytes. */
const replyParser = (...args: Parameters<typeof replyParsers>) =>
  parse(replyParsers(...args), { name: "reply" });

/** Outstanding: reads of 4 and 0 bytes, and a write. */
const requests = new Map<bigint, NbdRequest>([
  [1n, { flags: 0, type: 0, cookie: 1n, offset: 0, length: 4 }],
  [2n, { flags: 0, type: 0, cookie: 2n, offset: 0, length: 0 }],
  [3n, { flags: 0, type: 1, cookie: 3n, offset: 0, length: 9 }],
]);
const requestOf = (cookie: bigint) => requests.get(cookie);
const parsed = (chunks: Iterable<Uint8Array>, into: NbdReply[][] = []) =>
  collect(source(chunks).pipeThrough(replyParser(requestOf)), into);

const wire = hex(`
  67446698 00000000 0000000000000003            # the write
  67446698 00000000 0000000000000001 aabbccdd   # the read
  67446698 00000000 0000000000000002            # the read of nothing
  67446698 00000005 0000000000000001            # the read failed: no data
  67446698 0000001c 0000000000000003`);
const replies = [
  { cookie: 3n, error: 0 },
  { cookie: 1n, error: 0, payload: hex("aabbccdd") },
  { cookie: 2n, error: 0 },
  { cookie: 1n, error: 5 },
  { cookie: 3n, error: 28 },
];

for (const size of [1, 2, 3, 15, 16, 17, 20, 1000]) {
  tests(`chunks of ${size}: the same replies, in any order of cookies`, async () => {
    assert.equal((await parsed(cut(wire, size))).flat(), replies);
  });
}

for (const [what, bytes, message] of [
  [
    "an unknown cookie",
    "67446698 00000000 00000000000000ff",
    "the server answered a request that is not outstanding, cookie 0xff",
  ],
  [
    "an unknown cookie with an error",
    "67446698 00000005 00000000000000ff",
    "the server answered a request that is not outstanding, cookie 0xff",
  ],
  [
    "a structured reply, which was not negotiated",
    "668e33ef 0001 0001 0000000000000001 00000000",
    "a simple reply began with 0x668e33ef where 0x67446698 was expected",
  ],
] as const) {
  tests(`${what} fails the layer, after the replies before`, async () => {
    const got: NbdReply[][] = [];
    const error = await failure(parsed([hex(`67446698 00000000 0000000000000003 ${bytes}`)], got));
    assert.instance(error, ProtocolError);
    assert.is(error.message, message);
    assert.equal(got.flat(), [replies[0]]);
  });
}

tests("an end inside a reply or its data is an error", async () => {
  for (const end of [15, 16, 19]) {
    const error = await failure(parsed([wire.slice(16, 16 + end)]));
    assert.instance(error, UnexpectedEndError);
    assert.match(error.message, /inside a reply/);
  }
});

const asked = (type: number, cookie: bigint, offset: number, length: number): [bigint, NbdRequest] => [
  cookie,
  { flags: 0, type, cookie, offset, length },
];
/** Outstanding: a READ of 8 bytes at 0x100, a WRITE, a BLOCK_STATUS of 0x1000 bytes, and a READ of nothing. */
const outstanding = new Map([
  asked(0, 1n, 0x100, 8),
  asked(1, 2n, 0x200, 9),
  asked(7, 3n, 0, 0x1000),
  asked(0, 4n, 0, 0),
]);

/** A chunk, in hex, by the layout that is given. */
type Layout = (type: string, cookie: number, payload?: string, flags?: string, offset?: string) => string;
const offsets = ["", "100", "200", "0", "0"];
const digits = (n: number, count: number) => n.toString(16).padStart(count, "0");
const layouts: Record<"structured" | "extended", Layout> = {
  structured: (type, cookie, payload = "", flags = "0001") =>
    `668e33ef ${flags} ${type} ${digits(cookie, 16)} ${digits(hex(payload).byteLength, 8)} ${payload}`,
  extended: (type, cookie, payload = "", flags = "0001", offset = offsets[cookie] ?? "0") =>
    `6e8a278c ${flags} ${type} ${digits(cookie, 16)} ${offset.padStart(16, "0")}
     ${digits(hex(payload).byteLength, 16)} ${payload}`,
};
const at = (offset: number) => digits(offset, 16);

/** The request with a cookie, once more each time that it is asked for. */
const requestAgain = (cookie: bigint) => {
  const request = outstanding.get(cookie);
  return request && { ...request };
};

for (const headers of ["structured", "extended"] as const) {
  const chunk = layouts[headers];
  const [status, more] = headers === "extended" ? ["0006", "0000"] : ["0005", "0000"];
  const parse = async (text: string, size = 1 << 20, got: NbdReply[][] = []) => {
    const layer = replyParser(requestAgain, { headers, allocation: 9 });
    await collect(source(cut(hex(text), size)).pipeThrough(layer), got);
    return got.flat();
  };
  /** The payload of a status chunk. */
  const extents = (context: number, ...pairs: [number, number][]) =>
    headers === "extended"
      ? `${digits(context, 8)} ${digits(pairs.length, 8)} ${pairs.map(([a, b]) => at(a) + at(b)).join(" ")}`
      : `${digits(context, 8)} ${pairs.map(([a, b]) => digits(a, 8) + digits(b, 8)).join(" ")}`;

  for (const size of [1, 2, 7, 19, 20, 21, 32, 1000]) {
    tests(`${headers} replies in chunks of ${size}, of several parts, with others between them`, async () => {
      const wire = [
        chunk("0001", 1, `${at(0x104)} aabb`, more),
        chunk("0000", 2),
        chunk("0002", 1, `${at(0x106)} 00000002`, more),
        chunk(status, 3, extents(9, [0x200, 3], [0x100, 0], [0xf000, 1]), more),
        chunk("0001", 1, `${at(0x100)} 01020304`),
        chunk("0000", 3),
        chunk("0000", 4),
        chunk("0001", 1, `${at(0x100)} 0102030405060708`),
        chunk("0002", 1, `${at(0x100)} 00000008`),
        chunk("8001", 2, "0000001c 0004 66756c6c"),
        chunk("0001", 1, `${at(0x100)} 0102030405060708`, more),
        chunk("8002", 1, `00000005 0000 ${at(0x103)}`, more),
        chunk("8001", 1, "00000016 0000"),
        chunk("8003", 2, "0000000c 0000 112233", "0003"),
      ].join("");
      assert.equal(await parse(wire, size), [
        { cookie: 2n, error: 0 },
        { cookie: 1n, error: 0, payload: hex("01020304aabb0000") },
        {
          cookie: 3n,
          error: 0,
          extents: [
            { length: 0x200, hole: true, zero: true },
            { length: 0x100, hole: false, zero: false },
            { length: 0xd00, hole: true, zero: false },
          ],
        },
        { cookie: 4n, error: 0 },
        { cookie: 1n, error: 0, payload: hex("0102030405060708") },
        { cookie: 1n, error: 0, payload: new Uint8Array(8) },
        { cookie: 2n, error: 28, message: "full" },
        { cookie: 1n, error: 5, errorOffset: 0x103 },
        { cookie: 2n, error: 12 },
      ]);
    });
  }

  tests(`${headers}: of more than 1,024 extents the first are made use of`, async () => {
    const many = Array.from({ length: 2000 }, (_, i): [number, number] => [1, i % 2]);
    const [reply] = await parse(chunk(status!, 3, extents(9, ...many)));
    assert.is(reply!.extents!.length, 1024);
    assert.equal(reply!.extents![1023], { length: 1, hole: true, zero: false });
  });

  for (const [what, wire, message] of [
    ["an unknown cookie", chunk("0000", 99), /not outstanding, cookie 0x63/],
    [
      "a wrong magic",
      "0102030405060708".repeat(4),
      /^an? (structured|extended) reply began with 0x1020304 where/,
    ],
    ["NONE with a payload", chunk("0000", 2, "00"), /answered a WRITE with a NONE chunk of 1 bytes/],
    ["NONE that is not the last", chunk("0000", 2, "", more), /NONE chunk/],
    ["NONE before all data", chunk("0000", 1), /sent 0 bytes of a READ of 8 bytes at 256$/],
    [
      "a gap",
      chunk("0001", 1, `${at(0x100)} 01`, more) + chunk("0001", 1, `${at(0x102)} 010203040506`),
      /sent 7 bytes of a READ/,
    ],
    [
      "data for a WRITE",
      chunk("0001", 2, `${at(0x200)} 01`),
      /answered a WRITE with a OFFSET_DATA chunk of 9 bytes/,
    ],
    ["data without data", chunk("0001", 1, at(0x100)), /OFFSET_DATA chunk of 8 bytes/],
    ["data shorter than its offset", chunk("0001", 1, "00"), /OFFSET_DATA chunk of 1 bytes/],
    [
      "more data than was asked for",
      chunk("0001", 1, `${at(0x100)} 010203040506070809`),
      /OFFSET_DATA chunk of 17 bytes/,
    ],
    [
      "data before the range",
      chunk("0001", 1, `${at(0xff)} 01`),
      /1 bytes at 255 that are not in the READ of 8 bytes at 256/,
    ],
    [
      "data over the end of the range",
      chunk("0001", 1, `${at(0x107)} 0102`),
      /2 bytes at 263 that are not in the READ/,
    ],
    ["data far away", chunk("0001", 1, "ffffffffffffffff 01"), /not in the READ/],
    ["data twice", chunk("0001", 1, `${at(0x100)} 01`, more).repeat(2), /bytes at 256 twice in a READ/],
    [
      "data over a hole",
      chunk("0002", 1, `${at(0x104)} 00000002`, more) + chunk("0001", 1, `${at(0x103)} 0102`, more),
      /bytes at 259 twice/,
    ],
    [
      "a hole over data",
      chunk("0001", 1, `${at(0x103)} 0102`, more) + chunk("0002", 1, `${at(0x104)} 00000002`, more),
      /bytes at 260 twice/,
    ],
    ["a hole of nothing", chunk("0002", 1, `${at(0x100)} 00000000`), /0 bytes at 256 that are not in/],
    [
      "a hole of another length",
      chunk("0002", 1, `${at(0x100)} 0000000001`),
      /OFFSET_HOLE chunk of 13 bytes/,
    ],
    [
      "a hole for a BLOCK_STATUS",
      chunk("0002", 3, `${at(0)} 00000001`),
      /answered a BLOCK_STATUS with a OFFSET_HOLE/,
    ],
    ["a hole over the end", chunk("0002", 1, `${at(0x100)} 00000009`), /9 bytes at 256 that are not in/],
    ["a status for a READ", chunk(status!, 1, extents(9, [8, 0])), /answered a READ with a BLOCK_STATUS/],
    ["no status", chunk("0000", 3), /told no status of 4096 bytes at 0/],
    ["a status twice", chunk(status!, 3, extents(9, [8, 0]), more).repeat(2), /BLOCK_STATUS/],
    ["a status of another context", chunk(status!, 3, extents(8, [8, 0])), /BLOCK_STATUS/],
    ["a status of no extents", chunk(status!, 3, extents(9)), /BLOCK_STATUS/],
    ["an extent of 0 bytes", chunk(status!, 3, extents(9, [8, 0], [0, 0])), /BLOCK_STATUS/],
    ["an extent behind the end", chunk(status!, 3, extents(9, [0x1000, 0], [1, 0])), /BLOCK_STATUS/],
    ["half an extent", chunk(status!, 3, `${extents(9, [8, 0])} 00000000`), /BLOCK_STATUS/],
    [
      "the other kind of status",
      chunk(headers === "extended" ? "0005" : "0006", 3, "0000000900000001"),
      /BLOCK_STATUS/,
    ],
    ["an error of 0", chunk("8001", 2, "00000000 0000"), /ERROR chunk of 6 bytes/],
    ["an error that is too short", chunk("8001", 2, "00000005 00"), /ERROR chunk of 5 bytes/],
    ["an error with words that are not there", chunk("8001", 2, "00000005 0001"), /ERROR chunk of 6 bytes/],
    [
      "an error with words beyond 4,096 bytes",
      chunk("8001", 2, `00000005 1100 ${"61".repeat(4352)}`),
      /ERROR chunk of 4358 bytes/,
    ],
    [
      "an error without the place that it has",
      chunk("8002", 1, "00000005 0000 00000000000001"),
      /ERROR_OFFSET chunk of 13 bytes/,
    ],
    ["an unknown type", chunk("0007", 2), /answered a WRITE with a 7 chunk of 0 bytes/],
  ] as [string, string, RegExp][]) {
    tests(`${headers}, ${what}: ProtocolError, after the replies before`, async () => {
      const got: NbdReply[][] = [];
      const error = await failure(parse(chunk("0000", 2) + wire, 1 << 20, got));
      assert.instance(error, ProtocolError);
      assert.match(error.message, message);
      assert.equal(got.flat(), [{ cookie: 2n, error: 0 }]);
    });
  }

  for (const [where, offset] of [
    ["behind", 0x108],
    ["before", 0xff],
  ] as const) {
    tests(`${headers}: an error ${where} what was asked for is one of no known place`, async () => {
      const replies = await parse(chunk("8002", 1, `00000005 0000 ${at(offset)}`));
      assert.equal(replies, [{ cookie: 1n, error: 5 }]);
    });
  }

  tests(`${headers}: very many small pieces are taken as long as they are neighbours`, async () => {
    const length = 1 << 13;
    const large: NbdRequest = { type: 0, flags: 0, cookie: 1n, offset: 0, length };
    const hole = (offset: number) =>
      chunk("0002", 1, `${at(offset)} 00000001`, offset === 0 ? undefined : more, "0");
    const parseLarge = (text: string) => {
      const layer = replyParser(() => large, { headers });
      return collect(source([hex(text)]).pipeThrough(layer));
    };
    const descending = Array.from({ length }, (_, i) => hole(length - 1 - i)).join("");
    assert.equal((await parseLarge(descending)).flat(), [
      { cookie: 1n, error: 0, payload: new Uint8Array(length) },
    ]);
    const scattered = Array.from({ length: length / 2 }, (_, i) => hole(length - 1 - 2 * i)).join("");
    const error = await failure(parseLarge(scattered));
    assert.instance(error, ProtocolError);
    assert.match(error.message, /in more places than can be kept track of/);
  });

  tests(`${headers}: lengths that can't be right fail before their payload is waited for`, async () => {
    const length = headers === "extended" ? "7fffffffffffffff" : "7fffffff";
    for (const [type, cookie] of [
      ["0001", 1],
      [status, 3],
      ["8001", 2],
      ["0000", 2],
    ] as const) {
      const begin = hex(chunk(type!, cookie));
      const bytes = concat([begin.slice(0, begin.byteLength - length.length / 2), hex(length)]);
      const layer = replyParser((c) => outstanding.get(c), { headers, allocation: 9 });
      const error = await failure(collect(source([bytes], "open").pipeThrough(layer)));
      assert.instance(error, ProtocolError);
    }
  });

  tests(`${headers}: an end between the chunks of a reply is an end inside a reply`, async () => {
    const error = await failure(parse(chunk("0001", 1, `${at(0x100)} 01`, more)));
    assert.instance(error, UnexpectedEndError);
  });
}

tests("simple replies among structured ones: fine where there is nothing to tell", async () => {
  const parse = (text: string) =>
    collect(
      source([hex(text)]).pipeThrough(
        replyParser((cookie) => outstanding.get(cookie), { headers: "structured" }),
      ),
    );
  const simple = (cookie: number, error = 0) => `67446698 ${digits(error, 8)} ${digits(cookie, 16)}`;
  assert.equal((await parse(simple(2) + simple(1, 5) + simple(3, 22))).flat(), [
    { cookie: 2n, error: 0 },
    { cookie: 1n, error: 5 },
    { cookie: 3n, error: 22 },
  ]);
  const part = layouts.structured("0001", 1, `${at(0x100)} 01`, "0000");
  for (const wire of [`${simple(1)} 0102030405060708`, simple(3), simple(99), part + simple(1, 5)]) {
    assert.instance(await failure(parse(wire)), ProtocolError);
  }
});

tests("an extended reply with another offset than the request's is not believed", async () => {
  const layer = replyParser((cookie) => outstanding.get(cookie), { headers: "extended" });
  const wire = hex(layouts.extended("0000", 2, "", "0001", "201"));
  const error = await failure(collect(source([wire]).pipeThrough(layer)));
  assert.instance(error, ProtocolError);
  assert.is(error.message, "the server answered another offset than 512, which was asked");
});

tests("an extended status with more than 32 bits of flags, or another count, is not believed", async () => {
  for (const payload of [
    "00000009 00000001 0000000000000008 0000000100000000",
    "00000009 00000002 0000000000000008 0000000000000000",
  ]) {
    const layer = replyParser((cookie) => outstanding.get(cookie), { headers: "extended", allocation: 9 });
    const error = await failure(
      collect(source([hex(layouts.extended("0006", 3, payload))]).pipeThrough(layer)),
    );
    assert.instance(error, ProtocolError);
  }
});

tests("data that is all of a READ is not copied", async () => {
  const wire = hex(layouts.structured("0001", 1, `${at(0x100)} 0102030405060708`));
  const layer = replyParser((cookie) => outstanding.get(cookie), { headers: "structured" });
  const [[reply]] = (await collect(source([wire]).pipeThrough(layer))) as [[NbdReply]];
  assert.is((reply.payload as Uint8Array).buffer, wire.buffer);
});

tests.run();

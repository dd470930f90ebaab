import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import type { Export, Extent } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { requestHandler } from "../../../src/nbd/server/layers.ts";
import type { NbdReply, NbdRequest, Negotiated } from "../../../src/nbd/transmission.ts";
import { transmissionFlags } from "../../../src/nbd/transmission-flags.ts";
import { ByteBudget } from "../../../src/streams/budget.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { collect, hex, sequence, settled, source } from "../../bytes.ts";

const tests = suite("request handler");

const [READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] = [0, 1, 2, 3, 4, 5, 6, 7];
const SIZE = 4096;

const readOnly = () => memoryExport(sequence(SIZE), { readOnly: true });
const readWrite = () => memoryExport(sequence(SIZE));

type Settled = Pick<Negotiated, "headers" | "allocation">;

/** What can be written to, and nothing else. */
const plain = (): Export => {
  const { size, read, write, close } = readWrite();
  return { size, read, write: write!, close };
};
const caching = (): Export => ({ ...readOnly(), cache: async () => {} });

function handle(requests: NbdRequest[], target: Export, total = 1 << 20, settled: Settled = {}) {
  const budget = new ByteBudget(total);
  const { blockSize, size } = target;
  const flags = transmissionFlags(target, settled);
  const negotiated = { size, flags, ...(blockSize && { blockSize }), ...settled };
  const layer = requestHandler(target, negotiated, { room: budget.share(total) });
  return collect(source([requests]).pipeThrough(layer)).then((replies) => {
    assert.is(budget.used, 0, "all room is given back");
    return replies.flat();
  });
}

const make = (fields: Partial<NbdRequest>): NbdRequest => ({
  flags: 0,
  type: READ!,
  cookie: 7n,
  offset: 0,
  length: 0,
  ...fields,
});
const writing = (offset: number, payload: Uint8Array, fields: Partial<NbdRequest> = {}) =>
  make({ type: WRITE!, offset, length: payload.byteLength, payload, ...fields });

/** The one reply to one request. */
async function answer(fields: Partial<NbdRequest>, target: Export, settled: Settled = {}): Promise<NbdReply> {
  const replies = await handle([make(fields)], target, 1 << 20, settled);
  assert.is(replies.length, 1);
  assert.is(replies[0]!.cookie, 7n);
  return replies[0]!;
}

tests("READ gives the bytes", async () => {
  const reply = await answer({ offset: 1, length: 5 }, readOnly());
  assert.equal(reply, { cookie: 7n, error: 0, payload: sequence(SIZE).slice(1, 6) });
  const whole = await answer({ offset: 0, length: SIZE }, readOnly());
  assert.equal(whole.payload, sequence(SIZE));
});

tests("WRITE writes them", async () => {
  const bytes = new Uint8Array(8);
  assert.equal(await handle([writing(5, hex("aabbcc"))], memoryExport(bytes)), [{ cookie: 7n, error: 0 }]);
  assert.equal(bytes, hex("0000000000aabbcc"));
});

const far = 2 ** 53;
for (const [what, fields, target, error] of [
  ["READ at the end, one byte over", { offset: SIZE - 1, length: 2 }, readOnly, Errno.EINVAL],
  ["READ beyond the end", { offset: SIZE, length: 1 }, readOnly, Errno.EINVAL],
  ["READ far beyond", { offset: far, length: 1 }, readOnly, Errno.EINVAL],
  ["READ of nothing beyond the end", { offset: SIZE + 1 }, readOnly, Errno.EINVAL],
  ["READ with an unknown flag", { length: 1, flags: 2 }, readOnly, Errno.EINVAL],
  ["READ with FUA where it is not offered", { length: 1, flags: 1 }, readOnly, Errno.EINVAL],
  ["READ with FUA where it is offered", { length: 1, flags: 1 }, readWrite, 0],
  ["WRITE over the end", writing(SIZE - 1, hex("aabb")), readWrite, Errno.ENOSPC],
  ["WRITE far beyond", writing(far, hex("aa")), readWrite, Errno.ENOSPC],
  ["WRITE to a read-only export", writing(0, hex("aa")), readOnly, Errno.EPERM],
  ["WRITE over the end of a read-only export", writing(SIZE, hex("aa")), readOnly, Errno.EPERM],
  ["WRITE with an unknown flag", writing(0, hex("aa"), { flags: 4 }), readWrite, Errno.EINVAL],
  [
    "WRITE that the parser refused",
    { type: WRITE, length: 2 ** 31, refused: Errno.EINVAL },
    readWrite,
    Errno.EINVAL,
  ],
  ["TRIM of a read-only export", { type: TRIM, length: 1 }, readOnly, Errno.EPERM],
  ["WRITE_ZEROES to a read-only export", { type: WRITE_ZEROES, length: 1 }, readOnly, Errno.EPERM],
  ["TRIM", { type: TRIM, length: SIZE, flags: 1 }, readWrite, 0],
  ["TRIM, which is not offered", { type: TRIM, length: 1 }, plain, Errno.EINVAL],
  ["TRIM over the end", { type: TRIM, offset: 1, length: SIZE }, readWrite, Errno.EINVAL],
  ["TRIM with an unknown flag", { type: TRIM, length: 1, flags: 2 }, readWrite, Errno.EINVAL],
  ["WRITE_ZEROES", { type: WRITE_ZEROES, length: SIZE, flags: 0b10011 }, readWrite, 0],
  ["WRITE_ZEROES where zeroes are written", { type: WRITE_ZEROES, length: SIZE, flags: 2 }, plain, 0],
  ["a fast one there", { type: WRITE_ZEROES, length: 1, flags: 0x10 }, plain, Errno.EINVAL],
  ["WRITE_ZEROES over the end", { type: WRITE_ZEROES, offset: 1, length: SIZE }, readWrite, Errno.ENOSPC],
  ["WRITE_ZEROES with an unknown flag", { type: WRITE_ZEROES, length: 1, flags: 4 }, readWrite, Errno.EINVAL],
  ["CACHE, where it is offered", { type: CACHE, length: SIZE }, caching, 0],
  ["CACHE over the end", { type: CACHE, offset: 1, length: SIZE }, caching, Errno.EINVAL],
  ["CACHE with a flag", { type: CACHE, length: 1, flags: 2 }, caching, Errno.EINVAL],
  ["CACHE", { type: CACHE, length: 1 }, readOnly, Errno.EINVAL],
  ["BLOCK_STATUS", { type: BLOCK_STATUS, length: 1 }, readOnly, Errno.EINVAL],
  ["an unknown command", { type: 0xffff, length: 0xffffffff, offset: far }, readWrite, Errno.EINVAL],
  ["FLUSH", { type: FLUSH }, readWrite, 0],
  ["FLUSH with a length", { type: FLUSH, length: 1 }, readWrite, Errno.EINVAL],
  ["FLUSH with an offset", { type: FLUSH, offset: 1 }, readWrite, Errno.EINVAL],
  ["FLUSH where it is not offered", { type: FLUSH }, readOnly, Errno.EINVAL],
] as [string, Partial<NbdRequest>, () => Export, number][]) {
  tests(`${what}: ${error}`, async () => {
    const reply = await answer(fields, target());
    assert.is(reply.error, error);
    if (error) assert.not.ok("payload" in reply, "an error carries no data");
  });
}

tests("a length of 0 succeeds without the export", async () => {
  const never: Export = {
    ...readWrite(),
    read: () => assert.unreachable(),
    write: () => assert.unreachable(),
    trim: () => assert.unreachable(),
    writeZeroes: () => assert.unreachable(),
    cache: () => assert.unreachable(),
  } as never;
  for (const type of [TRIM!, WRITE_ZEROES!, CACHE!]) {
    assert.equal(await answer({ type, offset: SIZE }, never), { cookie: 7n, error: 0 });
  }
  assert.equal(await answer({ offset: SIZE }, never), { cookie: 7n, error: 0 });
  assert.equal(await answer(writing(SIZE, new Uint8Array(0)), never), { cookie: 7n, error: 0 });
});

tests("block sizes: what is not aligned, and a READ that is too long, are EINVAL", async () => {
  const target = { ...readWrite(), blockSize: { minimum: 512, preferred: 512, maximum: 1024 } };
  for (const [fields, error] of [
    [{ offset: 512, length: 512 }, 0],
    [{ offset: 511, length: 512 }, Errno.EINVAL],
    [{ offset: 512, length: 511 }, Errno.EINVAL],
    [{ offset: 0, length: 1024 }, 0],
    [{ offset: 0, length: 1536 }, Errno.EINVAL],
    [writing(512, sequence(512)), 0],
    [writing(1, sequence(512)), Errno.EINVAL],
    [writing(0, sequence(1)), Errno.EINVAL],
  ] as [Partial<NbdRequest>, number][]) {
    assert.is(
      (await answer(fields, target)).error,
      error,
      JSON.stringify(fields, ["offset", "length", "type"]),
    );
  }
});

tests("a READ longer than 32 MiB is EINVAL, and holds no room meanwhile", async () => {
  const target: Export = {
    size: Number.MAX_SAFE_INTEGER,
    read: () => Promise.reject(new Error("not reached")),
    close: async () => {},
  };
  assert.is((await answer({ length: (1 << 25) + 1 }, target)).error, Errno.EINVAL);
  assert.is((await answer({ length: 0xffffffff }, target)).error, Errno.EINVAL);
});

tests("what an export throws: ExportError keeps its errno, anything else is EIO", async () => {
  const failing = (error: unknown): Export => ({
    ...readWrite(),
    read: () => Promise.reject(error),
    write: () => Promise.reject(error),
    flush: () => Promise.reject(error),
  });
  for (const fields of [{ length: 1 }, writing(0, hex("aa")), { type: FLUSH }] as Partial<NbdRequest>[]) {
    for (const errno of Object.values(Errno)) {
      assert.is((await answer(fields, failing(new ExportError(errno, "no")))).error, errno);
    }
    assert.is((await answer(fields, failing(new TypeError("a bug")))).error, Errno.EIO);
    assert.is((await answer(fields, failing(undefined))).error, Errno.EIO);
  }
  const throwing: Export = {
    ...readOnly(),
    read() {
      throw new Error("not even a promise");
    },
  };
  assert.is((await answer({ length: 1 }, throwing)).error, Errno.EIO);
});

tests(
  "an export that gives too few or too many bytes: EIO, as the reply could not be told from the next",
  async () => {
    for (const payload of [sequence(3), sequence(5), new Blob([sequence(4)])] as Uint8Array[]) {
      const target: Export = { ...readOnly(), read: async () => payload };
      assert.equal(await answer({ length: 4 }, target), { cookie: 7n, error: Errno.EIO });
    }
  },
);

tests("FUA is passed on", async () => {
  const calls: unknown[] = [];
  const target: Export = {
    ...readWrite(),
    write: async (offset, data, options) => void calls.push([offset, data, options]),
  };
  await handle([writing(0, hex("aa")), writing(1, hex("bb"), { flags: 1 })], target);
  assert.equal(calls, [
    [0, hex("aa"), { fua: false }],
    [1, hex("bb"), { fua: true }],
  ]);
});

tests("TRIM, WRITE_ZEROES and CACHE are passed on with their flags, however long they are", async () => {
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    async (...args: unknown[]) =>
      void calls.push([name, ...args]);
  const size = Number.MAX_SAFE_INTEGER;
  const target: Export = {
    ...readWrite(),
    size,
    trim: note("trim"),
    writeZeroes: note("writeZeroes"),
    cache: note("cache"),
    blockSize: { minimum: 1, preferred: 4096, maximum: 4096 },
  };
  const requests = [
    make({ type: TRIM!, length: 0xffffffff }),
    make({ type: TRIM!, offset: 1, length: size - 1, flags: 1 }),
    make({ type: WRITE_ZEROES!, length: 0xffffffff }),
    make({ type: WRITE_ZEROES!, offset: 1, length: size - 1, flags: 0b10011 }),
    make({ type: CACHE!, offset: 2, length: 2 ** 40 }),
  ];
  for (const { error } of await handle(requests, target)) assert.is(error, 0);
  const none = { fua: false, noHole: false, fast: false };
  assert.equal(calls, [
    ["trim", 0, 0xffffffff, { fua: false }],
    ["trim", 1, size - 1, { fua: true }],
    ["writeZeroes", 0, 0xffffffff, none],
    ["writeZeroes", 1, size - 1, { fua: true, noHole: true, fast: true }],
    ["cache", 2, 2 ** 40],
  ]);
});

tests(
  "WRITE_ZEROES where the export has none: zeroes are written in pieces, then flushed for FUA",
  async () => {
    const size = 700_000;
    const bytes = sequence(size);
    const calls: string[] = [];
    const { read, write, close } = memoryExport(bytes);
    const target: Export = {
      size,
      read,
      close,
      async write(offset, data, options) {
        calls.push(`write ${offset} ${data.byteLength} ${options?.fua ?? false}`);
        await write!(offset, data);
      },
      flush: async () => void calls.push("flush"),
    };
    const reply = await answer({ type: WRITE_ZEROES!, offset: 3, length: 600_000, flags: 1 }, target);
    assert.equal(reply, { cookie: 7n, error: 0 });
    assert.equal(calls, [
      "write 3 262144 false",
      "write 262147 262144 false",
      "write 524291 75712 false",
      "flush",
    ]);
    const expected = sequence(size);
    expected.fill(0, 3, 600_003);
    assert.equal(bytes, expected);
  },
);

const structured: Settled = { headers: "structured", allocation: 1 };
const data = (length: number): Extent => ({ length, hole: false, zero: false });
const hole = (length: number): Extent => ({ length, hole: true, zero: true });

/** An export with these extents, which notes what it is asked. */
function sparse(extents: Extent[], asked: unknown[][] = [], size = 1 << 16): Export {
  return {
    ...memoryExport(sequence(size), { readOnly: true }),
    async extents(...args) {
      asked.push(["extents", ...args]);
      return extents;
    },
    knownExtents(...args) {
      asked.push(["known extents", ...args]);
      return extents;
    },
    async read(offset, length) {
      asked.push(["read", offset, length]);
      return sequence(length, offset);
    },
  };
}

tests(
  "BLOCK_STATUS tells the extents: as many as were asked about, neighbours of one state as one",
  async () => {
    const asked: unknown[][] = [];
    const target = sparse(
      [data(10), data(20), hole(30), hole(5), { length: 7, hole: true, zero: false }],
      asked,
    );
    const request = { type: BLOCK_STATUS!, offset: 100, length: 70 };
    assert.equal(await answer(request, target, structured), {
      cookie: 7n,
      error: 0,
      offset: 100,
      extents: [data(30), hole(35), { length: 5, hole: true, zero: false }],
    });
    assert.equal(asked, [["extents", 100, 70]]);
    const one = await answer({ ...request, flags: 8 }, target, structured);
    assert.equal(one.extents, [data(30)]);
  },
);

tests("BLOCK_STATUS of an export that knows nothing: all is data", async () => {
  const request = { type: BLOCK_STATUS!, offset: 1, length: SIZE - 1 };
  assert.equal((await answer(request, readOnly(), structured)).extents, [data(SIZE - 1)]);
  assert.equal((await answer(request, sparse([], [], SIZE), structured)).extents, [data(SIZE - 1)]);
});

tests("BLOCK_STATUS keeps to the minimum block size: a block of two states is data", async () => {
  const blockSize = { minimum: 512, preferred: 512, maximum: 4096 };
  const of = async (extents: Extent[], length: number) =>
    (await answer({ type: BLOCK_STATUS!, length }, { ...sparse(extents), blockSize }, structured)).extents;
  assert.equal(await of([hole(512), data(1000), hole(1048)], 2560), [hole(512), data(1024), hole(1024)]);
  assert.equal(await of([hole(700), data(10), hole(314)], 1024), [hole(512), data(512)]);
  assert.equal(await of([hole(100), hole(100), data(100)], 1024), [data(512)]);
  assert.equal(await of([hole(600), hole(424)], 1024), [hole(512), data(512)], "each by itself");
  assert.equal(await of([hole(1024), data(1)], 4096), [hole(1024), data(512)], "no more than is known");
  assert.equal(await of([hole(5000)], 1024), [hole(1024)]);
});

tests("BLOCK_STATUS tells 1,024 extents at a time", async () => {
  const extents = Array.from({ length: 3000 }, (_, i) => (i % 2 ? data(1) : hole(2)));
  const reply = await answer({ type: BLOCK_STATUS!, length: 4500 }, sparse(extents), structured);
  assert.equal(reply.extents, extents.slice(0, 1024));
});

for (const [what, fields, settled, error] of [
  ["without structured replies", {}, {}, Errno.EINVAL],
  ["without a context", {}, { headers: "structured" }, Errno.EINVAL],
  ["of nothing", { length: 0 }, structured, Errno.EINVAL],
  ["over the end", { offset: 1, length: SIZE }, structured, Errno.EINVAL],
  ["with an unknown flag", { flags: 2 }, structured, Errno.EINVAL],
  ["of the context", { contexts: [1] }, { headers: "extended", allocation: 1 }, 0],
  ["of no context", { contexts: [] }, { headers: "extended", allocation: 1 }, 0],
  ["of another context", { contexts: [2] }, { headers: "extended", allocation: 1 }, Errno.EINVAL],
  ["of a context twice", { contexts: [1, 1] }, { headers: "extended", allocation: 1 }, Errno.EINVAL],
] as [string, Partial<NbdRequest>, Settled, number][]) {
  tests(`BLOCK_STATUS ${what}: ${error}`, async () => {
    const reply = await answer({ type: BLOCK_STATUS!, length: 512, ...fields }, readOnly(), settled);
    assert.is(reply.error, error);
    assert.is(reply.extents !== undefined, error === 0 && fields.contexts?.length !== 0);
  });
}

const K = 1 << 14;
for (const [what, extents, pieces, reads] of [
  ["a hole", [hole(1 << 16)], [1 << 16], []],
  ["a hole, and more that is not asked for", [hole(1 << 20)], [1 << 16], []],
  ["a hole at the start", [hole(K), data(3 * K)], [K, [K, 3 * K]], [[K, 3 * K]]],
  ["a hole at the end", [data(3 * K), hole(K)], [[0, 3 * K], K], [[0, 3 * K]]],
  ["a hole in the middle", [data(K), hole(2 * K), data(K)], [[0, K], 2 * K, [3 * K, K]], [[0, 4 * K]]],
  ["data in the middle", [hole(K), data(2 * K), hole(K)], [K, [K, 2 * K], K], [[K, 2 * K]]],
  [
    "two holes side by side",
    [hole(K / 2), { length: K / 2, hole: false, zero: true }, data(3 * K)],
    [K, [K, 3 * K]],
    [[K, 3 * K]],
  ],
  ["a hole that is not worth it", [hole(K - 1), data(3 * K + 1)], undefined, [[0, 4 * K]]],
  ["allocated, not zero", [{ length: 4 * K, hole: true, zero: false }], undefined, [[0, 4 * K]]],
  ["nothing known", [], undefined, [[0, 4 * K]]],
] as [string, Extent[], (number | [number, number])[] | undefined, [number, number][]][]) {
  tests(`a structured READ of ${what}`, async () => {
    const asked: unknown[][] = [];
    const reply = await answer({ length: 4 * K }, sparse(extents, asked), structured);
    assert.equal(asked[0], ["known extents", 0, 4 * K]);
    assert.equal(
      asked.slice(1),
      reads.map(([offset, length]) => ["read", offset, length]),
    );
    if (!pieces) assert.equal(reply, { cookie: 7n, error: 0, offset: 0, payload: sequence(4 * K) });
    else {
      const expected = pieces.map((piece) =>
        typeof piece === "number" ? piece : sequence(piece[1], piece[0]),
      );
      assert.equal(reply, { cookie: 7n, error: 0, offset: 0, pieces: expected });
    }
  });
}

tests("a READ with DF, and one with simple replies, is of one piece and asks for no extents", async () => {
  for (const [flags, settled] of [
    [4, structured],
    [0, {}],
  ] as const) {
    const asked: unknown[][] = [];
    const reply = await answer({ length: K, flags }, sparse([hole(K)], asked), settled);
    assert.equal(reply.payload, sequence(K));
    assert.equal(asked, [["read", 0, K]]);
  }
});

tests("extents that can't be told are no failure of a READ", async () => {
  const failing: Export = {
    ...sparse([]),
    knownExtents() {
      throw new Error("no");
    },
  };
  assert.equal((await answer({ length: 3 }, failing, structured)).payload, sequence(3));
});

tests("an error has the words, and the place, of what the export threw", async () => {
  const error = new ExportError(Errno.EIO, "a bad sector", { offset: 512 });
  const target: Export = { ...readOnly(), read: () => Promise.reject(error) };
  assert.equal(await answer({ length: SIZE }, target, { headers: "structured" }), {
    cookie: 7n,
    error: Errno.EIO,
    offset: 0,
    message: "a bad sector",
    errorOffset: 512,
  });
});

tests("a place that is not in what was asked for is not told", async () => {
  for (const offset of [511, 520]) {
    const error = new ExportError(Errno.EIO, "a bad sector", { offset });
    const target: Export = { ...readOnly(), read: () => Promise.reject(error) };
    const reply = await answer({ offset: 512, length: 8 }, target, { headers: "structured" });
    assert.is(reply.errorOffset, undefined, `${offset}`);
    assert.is(reply.error, Errno.EIO);
  }
});

tests("the offset that is told again is the request's to the bit", async () => {
  const exactOffset = 2n ** 64n - 1n;
  const request = { offset: Number(exactOffset), exactOffset, length: 1 };
  assert.equal(await answer(request, readOnly(), { headers: "extended" }), {
    cookie: 7n,
    error: Errno.EINVAL,
    offset: exactOffset,
  });
});

tests("NBD_CMD_DISC gets no reply", async () => {
  assert.equal(await handle([make({ type: DISC! })], readOnly()), []);
});

tests("replies come in the order in which they are ready", async () => {
  const jobs = [deferred<Uint8Array>(), deferred<Uint8Array>()];
  const target: Export = { ...readOnly(), read: (offset) => jobs[offset]!.promise };
  const replies = handle(
    [make({ cookie: 1n, offset: 0, length: 1 }), make({ cookie: 2n, offset: 1, length: 1 })],
    target,
  );
  await settled();
  jobs[1]!.resolve(hex("bb"));
  await settled();
  jobs[0]!.resolve(hex("aa"));
  assert.equal(await replies, [
    { cookie: 2n, error: 0, payload: hex("bb") },
    { cookie: 1n, error: 0, payload: hex("aa") },
  ]);
});

tests("reads wait for room", async () => {
  let running = 0;
  let most = 0;
  const target: Export = {
    ...readOnly(),
    async read(_offset, length) {
      running += length;
      most = Math.max(most, running);
      await settled();
      running -= length;
      return new Uint8Array(length);
    },
  };
  const requests = Array.from({ length: 40 }, (_, i) => make({ cookie: BigInt(i), length: 1000 }));
  assert.is((await handle(requests, target, 4000)).length, 40);
  assert.ok(most <= 4000, `${most}`);
});

tests.run();

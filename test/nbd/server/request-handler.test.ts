import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { transmissionFlags } from "../../../src/nbd/server/handshake.ts";
import { requestHandler } from "../../../src/nbd/server/request-handler.ts";
import type { NbdReply, NbdRequest } from "../../../src/nbd/transmission.ts";
import { ByteBudget } from "../../../src/streams/budget.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import type { Payload } from "../../../src/streams/payload.ts";
import { collect, hex, sequence, settled, source } from "../../bytes.ts";

const tests = suite("request handler");

const [READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] = [0, 1, 2, 3, 4, 5, 6, 7];
const SIZE = 4096;

const readOnly = () => memoryExport(sequence(SIZE), { readOnly: true });
const readWrite = () => memoryExport(sequence(SIZE));

function handle(requests: NbdRequest[], target: Export, total = 1 << 20) {
  const budget = new ByteBudget(total);
  const { blockSize } = target;
  const negotiated = { size: target.size, flags: transmissionFlags(target), ...(blockSize && { blockSize }) };
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
async function answer(fields: Partial<NbdRequest>, target: Export): Promise<NbdReply> {
  const replies = await handle([make(fields)], target);
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
  ["TRIM, which is not offered", { type: TRIM, length: 1 }, readWrite, Errno.EINVAL],
  ["WRITE_ZEROES, which is not offered", { type: WRITE_ZEROES, length: 1 }, readWrite, Errno.EINVAL],
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
  } as never;
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
    for (const payload of [sequence(3), sequence(5), new Blob([sequence(3)])] as Payload[]) {
      const target: Export = { ...readOnly(), read: async () => payload };
      assert.equal(await answer({ length: 4 }, target), { cookie: 7n, error: Errno.EIO });
    }
  },
);

tests("a Blob is passed on as it is", async () => {
  const blob = new Blob([sequence(4)]);
  const target: Export = { ...readOnly(), read: async () => blob };
  assert.is((await answer({ length: 4 }, target)).payload, blob);
});

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

tests("NBD_CMD_DISC gets no reply", async () => {
  assert.equal(await handle([make({ type: DISC! })], readOnly()), []);
});

tests("replies come in the order in which they are ready", async () => {
  const jobs = [deferred<Payload>(), deferred<Payload>()];
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

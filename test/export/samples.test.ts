import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { blobExport } from "../../src/export/blob.ts";
import { Errno, ExportError } from "../../src/export/error.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { sampled, samplePlaces } from "../../src/export/samples.ts";
import { isLent, lend } from "../../src/streams/lent.ts";
import { sequence } from "../bytes.ts";

const tests = suite("samples of an export");

const NONCE = "EBESExQVFhcYGRobHB0eHw";
const OTHER = "AAECAwQFBgcICQoLDA0ODw";
const BLOCK = 4096;

tests("places lie apart, in order, on blocks, inside of the export; 32 of them where it has so many", () => {
  const sizes = fc.oneof(
    fc.integer({ min: 0, max: 64 * BLOCK }),
    fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  );
  fc.assert(
    fc.property(sizes, (size) => {
      const places = samplePlaces(size, NONCE);
      assert.is(places.length, Math.min(32, Math.ceil(size / BLOCK)));
      let end = 0;
      for (const { offset, length } of places) {
        assert.ok(offset >= end && offset % BLOCK === 0, `${offset} after ${end}`);
        assert.is(length, Math.min(BLOCK, size - offset));
        end = offset + length;
      }
      assert.ok(end <= size);
      assert.equal(samplePlaces(size, NONCE), places);
    }),
  );
});

tests("the places that matter are among them", () => {
  const size = 5_000_000_123;
  const offsets = samplePlaces(size, NONCE).map(({ offset }) => offset);
  const middle = Math.floor(Math.ceil(size / BLOCK) / 2) * BLOCK;
  for (const wanted of [0, 32768, 1 << 20, middle, size - (size % BLOCK)]) {
    assert.ok(offsets.includes(wanted), `${wanted}`);
  }
});

tests("the rest follows from the nonce", () => {
  const others = new Set(samplePlaces(5e9, OTHER).map(({ offset }) => offset));
  const same = samplePlaces(5e9, NONCE).filter(({ offset }) => others.has(offset));
  assert.is(same.length, 5);
});

tests("an export that is hardly longer than its samples", () => {
  const [places, others] = [NONCE, OTHER].map((nonce) => samplePlaces(33 * BLOCK, nonce));
  assert.is(places!.length, 32);
  assert.not.equal(places, others);
});

tests("the samples are the beginnings of HMACs, in the order of their places", async () => {
  const bytes = sequence(40 * BLOCK + 100);
  const expected = samplePlaces(bytes.byteLength, NONCE).map(({ offset, length }) =>
    createHmac("sha256", Buffer.from(NONCE, "base64url"))
      .update(bytes.subarray(offset, offset + length))
      .digest()
      .subarray(0, 8),
  );
  const samples = await sampled(memoryExport(bytes), NONCE);
  assert.equal(samples, new Uint8Array(Buffer.concat(expected)));
  assert.equal(await sampled(blobExport(new Blob([bytes])), NONCE), samples);
});

tests("every byte of a small one counts", async () => {
  const bytes = sequence(3 * BLOCK + 1);
  const samples = await sampled(memoryExport(bytes), NONCE);
  for (const at of [0, BLOCK, 3 * BLOCK]) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    assert.not.equal(await sampled(memoryExport(changed), NONCE), samples, `byte ${at}`);
  }
});

tests("an empty one has none", async () => {
  assert.equal(await sampled(memoryExport(new Uint8Array(0)), NONCE), new Uint8Array(0));
});

tests("a place that cannot be read has zeroes, and the others their samples", async () => {
  const disk = memoryExport(sequence(4 * BLOCK));
  const whole = await sampled(disk, NONCE);
  const damaged = {
    size: disk.size,
    async read(offset: number, length: number) {
      if (offset === BLOCK) throw new ExportError(Errno.EIO, "a bad sector");
      return disk.read(offset, length);
    },
  };
  const expected = whole.slice();
  expected.fill(0, 8, 16);
  assert.equal(await sampled(damaged, NONCE), expected);
});

tests("what is lent is given back", async () => {
  const lent: Uint8Array[] = [];
  const target = {
    size: 3 * BLOCK,
    async read(_offset: number, length: number) {
      const bytes = lend(new Uint8Array(length), () => {});
      lent.push(bytes);
      return bytes;
    },
  };
  await sampled(target, NONCE);
  assert.is(lent.length, 3);
  assert.not.ok(lent.some(isLent));
});

tests.run();

// Protocol code is tested offline, against what real programs said: node --test fixture.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { nbdClient, nbdServer } from "nbd-proxy";
import { parseConversation, ReplayError, replay, replayLayer } from "nbd-proxy/fixtures";

const fixture = (name) =>
  parseConversation(readFileSync(new URL(`../../fixtures/${name}.nbd`, import.meta.url), "utf8"));

/** What is tested: it reads the names that sectors begin with, and makes a disk of such sectors. */
async function sectorNames(disk) {
  const names = [];
  for (let offset = 0; offset < disk.size; offset += 4096) {
    const bytes = await disk.read(offset, Math.min(4096, disk.size - offset));
    for (let at = 0; at < bytes.byteLength; at += 512) {
      names.push(new TextDecoder().decode(bytes.subarray(at, at + 9)));
    }
  }
  return names;
}

const sectors = {
  size: 17 * 512,
  async read(offset, length) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 512) {
      const number = (offset + at) / 512;
      bytes.fill(number, at, at + 512);
      bytes.set(new TextEncoder().encode(`sector ${String(number).padStart(2, "0")}`), at);
    }
    return bytes;
  },
  async close() {},
};

test("a recorded nbd-server is read, byte by byte", async () => {
  const server = replay(fixture("servers/nbd-server"), { as: "server", chunkSize: 1 });
  const disk = await nbdClient(server);
  const names = await sectorNames(disk);
  assert.equal(names.length, 17);
  assert.equal(names[16], "sector 16");
  await disk.close();
  await server.done;
});

test("a recorded nbdcopy gets the same bytes from our disk", async () => {
  const server = nbdServer(sectors, { name: "disk.img" });
  await replayLayer(server, fixture("clients/nbdcopy-read"), { as: "client" });
});

test("the first byte that differs is reported with its line", async () => {
  const other = nbdServer({ ...sectors, size: 512 });
  const replayed = replayLayer(other, fixture("clients/nbdcopy-read"), { as: "client" });
  await assert.rejects(replayed, (error) => error instanceof ReplayError && error.line === 22);
});

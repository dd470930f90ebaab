/** The engine by itself, as it runs in a Worker or in a page. */
import { openAsBlob } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { computerClock } from "../../../src/resuming/clock.ts";
import { MediaServer } from "../../../web/serving/media-server.ts";
import { readLevel } from "../../../web/serving/read-level.ts";
import { failure, sequence } from "../../bytes.ts";
import { Sandbox, until } from "../../harness.ts";
import { Reports, SIZE, scene } from "./scene.ts";

const tests = suite("media server");

tests("it serves a file, reports what it does, and ends in order", async () => {
  const { options, client, end } = await scene();
  const reports = new Reports();
  const server = new MediaServer(options, reports.take);
  const remote = await client();
  assert.equal(await remote.read(0, SIZE), sequence(SIZE));
  assert.equal(await remote.read(4096, 4096), sequence(4096, 4096));
  await until("it says so", () => reports.last.totals.reads === 2);
  const { state, wasOpen, failure, totals } = reports.last;
  assert.equal([state, wasOpen, failure], ["serving", true, undefined]);
  assert.equal([totals.bytesRead, totals.bytesCovered, totals.hits], [SIZE + 4096, SIZE, 1]);
  await until("the map", () => reports.all.some(({ map }) => map?.reads[1] === readLevel(2)));
  server.stop();
  await reports.until("ended");
  assert.is(reports.last.map?.cached[0] ?? 255, 255);
  assert.equal(reports.lines.slice(-2), [`serving ${SIZE} bytes`, "the session has ended"]);
  end();
});

tests("without a cache every read is a miss", async () => {
  const { options, client, end } = await scene({ cache: 0 });
  const reports = new Reports();
  const server = new MediaServer(options, reports.take);
  const remote = await client();
  await remote.read(0, 4096);
  await remote.read(0, 4096);
  await until("it says so", () => reports.last?.totals.misses === 2);
  assert.is(reports.last.totals.hits, 0);
  server.stop();
  await reports.until("ended");
  end();
});

tests("no message is longer than it may be", async () => {
  const { options, sockets, client, end } = await scene({ maxMessage: 1000 });
  const reports = new Reports();
  const server = new MediaServer(options, reports.take);
  await until("a WebSocket", () => sockets.length > 0);
  let longest = 0;
  sockets[0]!.on("message", (data: Buffer) => {
    longest = Math.max(longest, data.byteLength);
  });
  await (await client()).read(0, 1 << 16);
  assert.is(longest, 1000);
  server.stop();
  await reports.until("ended");
  end();
});

for (const maxMessage of [0, 63]) {
  tests(`a longest message of ${maxMessage} bytes is refused in words, before it connects`, async () => {
    const { options, asked, end } = await scene({ maxMessage });
    const reports = new Reports();
    new MediaServer(options, reports.take);
    await reports.until("failed");
    assert.is(reports.last.failure?.words, `maxMessage, in bytes, must be at least 64, not ${maxMessage}`);
    assert.equal(asked, []);
    end();
  });
}

tests("a refusal is told with its code and reason", async () => {
  const { options, sockets, end } = await scene();
  const reports = new Reports();
  new MediaServer(options, reports.take);
  await until("a WebSocket", () => sockets.length > 0);
  sockets[0]!.close(4002, "in use by somebody");
  await reports.until("failed");
  const { failure } = reports.last;
  assert.equal([failure!.code, failure!.reason], [4002, "in use by somebody"]);
  assert.match(failure!.words, /in use by somebody/);
  end();
});

tests("what it cannot do it says in words: an address, a cache", async () => {
  for (const wrong of [{ endpoint: "http:// nowhere" }, { cache: Number.NaN }]) {
    const { options, end } = await scene(wrong);
    const reports = new Reports();
    new MediaServer(options, reports.take);
    await reports.until("failed");
    assert.ok(reports.last.failure!.words.length > 10);
    end();
  }
});

tests(
  "when it is woken it tries at once to have a lost link again, with the subprotocols of the time",
  async () => {
    // Once it is held nothing comes by waiting.
    let isHeld = false;
    const held = new Set<() => void>();
    const clock = { ...computerClock() };
    const { after } = clock;
    clock.after = (milliseconds, callback) => {
      if (!isHeld) return after(milliseconds, callback);
      held.add(callback);
      return () => held.delete(callback);
    };
    const { options, asked, sockets, client, end } = await scene({ retry: 60, protocols: ["one"] });
    const reports = new Reports();
    const server = new MediaServer({ ...options, clock }, reports.take);
    const remote = await client();
    await remote.read(0, 4096);
    server.protocols(["two"]);
    await reports.until("serving");
    isHeld = true;
    sockets[0]!.terminate();
    await until("it waits, and is woken", () => {
      server.wake();
      return sockets.length > 1;
    });
    isHeld = false;
    for (const callback of held) callback();
    assert.equal(asked.slice(0, 2), [["one"], ["two"]]);
    server.stop();
    await reports.until("ended");
    end();
  },
);

tests("a link that is lost is told, and until when it is tried to be had again", async () => {
  const { options, sockets, client, end } = await scene({ retry: 60 });
  const reports = new Reports();
  const server = new MediaServer(options, reports.take);
  const remote = await client();
  await remote.read(0, 4096);
  sockets[0]!.terminate();
  // It may be had again before there was time to tell the state.
  await until("it says so", () => reports.last.lost !== undefined);
  const { lost } = reports.last;
  assert.is(lost!.until - lost!.at, 60_000);
  server.stop();
  await reports.until("ended");
  end();
});

tests(
  "while a link is lost nothing that the file does makes it serve, and a new link does not make a file readable",
  async () => {
    const sandbox = new Sandbox();
    const path = sandbox.path("image");
    await writeFile(path, sequence(SIZE));
    const file = new File([await openAsBlob(path)], "image");
    const { options, sockets, client, hold, end } = await scene({ file, cache: 0, retry: 60 });
    const reports = new Reports();
    const server = new MediaServer(options, reports.take);
    const read = async () => (await client()).read(0, 4096);
    await read();
    await rename(path, `${path} aside`);
    await failure(read());
    await until("it says so", () => reports.last.state === "unreadable");
    sockets[0]!.terminate();
    await until("another link", () => sockets.length > 1);
    await client();
    await until("it is told", () => reports.lines.filter((line) => line.startsWith("serving")).length === 2);
    assert.is(reports.last.state, "unreadable");

    hold();
    sockets[1]!.terminate();
    await until("the link is lost", () => reports.last.state === "reconnecting");
    await rename(`${path} aside`, path);
    await until("reads succeed", () => reports.lines.some((line) => line.startsWith("reads succeed again")));
    assert.is(reports.last.state, "reconnecting");
    server.stop();
    await reports.until("ended");
    end();
    await sandbox.end();
  },
);

tests("stop() while the file is looked at, or while it connects", async () => {
  const { options, end } = await scene();
  const reports = new Reports();
  const server = new MediaServer(options, reports.take);
  server.stop();
  await reports.until("ended");
  assert.is(reports.last.failure, undefined);
  end();
});

tests.run();

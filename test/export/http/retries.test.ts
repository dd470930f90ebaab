import * as assert from "uvu/assert";
import type { HttpError } from "../../../src/export/http/http-error.ts";
import { retryAfter } from "../../../src/export/http/retry-after.ts";
import { type HttpExportOptions, httpExport } from "../../../src/export/http.ts";
import { failure, sequence } from "../../bytes.ts";
import { suite, until } from "../../harness.ts";
import { HastyClock } from "./hasty-clock.ts";
import { type Answer, status, WebServer } from "./web-server.ts";

interface Context {
  server: WebServer;
  notes: string[];
  clock: HastyClock;
  options: HttpExportOptions;
}

const tests = suite<Context>("http export: what may pass");
tests.before.each(async (context) => {
  context.server = await WebServer.start();
  context.notes = [];
  context.clock = new HastyClock();
  context.options = { onnote: (line) => context.notes.push(line), clock: context.clock };
});
tests.after.each(({ server }) => server.close());

/** Sends the head and half of the body, and hangs up. */
const breaksOff: Answer = (_, response) => {
  response.writeHead(206, { "content-range": "bytes 100-149/10000", "content-length": "50", etag: '"one"' });
  response.write(sequence(25, 100), () => response.destroy());
};

/** Sends half of the body, as if that was all. */
const endsEarly: Answer = (_, response) => {
  response.writeHead(206, { "content-range": "bytes 100-149/10000", etag: '"one"' });
  response.end(sequence(25, 100));
};

const hangsUp: Answer = (request) => request.socket.destroy();

for (const [what, answer, words] of [
  ["408", status(408), /the server cannot answer now \(408\)/],
  ["425", status(425), /the server cannot answer now \(425\)/],
  ["429", status(429), /the server cannot answer now \(429\)/],
  ["500", status(500), /the server cannot answer now \(500\)/],
  ["503", status(503), /the server cannot answer now \(503\)/],
  ["a connection that is closed", hangsUp, /closed the connection without an answer; if it speaks TLS/],
  ["a body that breaks off", breaksOff, /the connection broke off after \d+ of 50 bytes/],
  ["a body that ends early", endsEarly, /the server sent 25 bytes, not the 50 that it had announced/],
] as const) {
  tests(`${what}: it is asked again, told once, and told that it is over`, async (context) => {
    const { server, options, notes, clock } = context;
    const target = await httpExport(server.url, options);
    server.next.push(answer, answer, answer);
    assert.equal(await target.read(100, 50), sequence(50, 100));
    assert.equal(server.ranges.slice(1), Array(4).fill("bytes=100-149"));
    assert.is(clock.now(), 400 + 800 + 1600);
    assert.is(notes.length, 2, notes.join("\n"));
    assert.match(notes[0]!, words);
    assert.match(notes[0]!, /^reading 50 bytes at 100 of .*; trying again$/);
    assert.is(notes[1], "the server answers again");
    await target.close();
  });
}

tests("it is not asked for ever", async ({ server, options, clock }) => {
  const target = await httpExport(server.url, { ...options, retries: 3 });
  server.always = status(502);
  const error = (await failure(target.read(0, 10))) as HttpError;
  assert.is(error.code, "busy");
  assert.is(error.status, 502);
  assert.is(error.mayPass, true);
  assert.is(error.message, `reading 10 bytes at 0 of ${server.url}: the server cannot answer now (502)`);
  assert.is(server.asked.length, 1 + 4);
  assert.is(clock.now(), 400 + 800 + 1600);
  await target.close();
});

tests("by default it is asked nine times, further and further apart", async ({ server, options, clock }) => {
  const target = await httpExport(server.url, options);
  server.always = status(502);
  await failure(target.read(0, 10));
  assert.is(server.asked.length, 1 + 9);
  assert.is(clock.now(), 400 + 800 + 1600 + 3200 + 6400 + 3 * 10_000);
  await target.close();
});

tests("the first request is tried again twice at most", async ({ server, options }) => {
  server.always = status(503);
  assert.is(((await failure(httpExport(server.url, options))) as HttpError).status, 503);
  assert.is(server.asked.length, 3);
  server.next.push(hangsUp, status(500));
  server.always = (...http) => server.part(...http);
  await (await httpExport(server.url, options)).close();
});

tests("what will not pass is not tried again", async ({ server, options, clock }) => {
  const target = await httpExport(server.url, options);
  for (const code of [400, 401, 403, 404, 405, 410, 418]) {
    server.next.push(status(code));
    const error = (await failure(target.read(0, 10))) as HttpError;
    assert.is(error.status, code);
    assert.is(error.mayPass, false);
  }
  assert.is(server.asked.length, 1 + 7);
  assert.is(clock.now(), 0);
  await target.close();
});

tests("a server that asks to be left alone is, by all readers", async ({ server, options, clock, notes }) => {
  const target = await httpExport(server.url, { ...options, concurrency: 1 });
  server.next.push(status(429, { "retry-after": "7" }));
  const times: number[] = [];
  server.always = (...http) => {
    times.push(clock.now());
    server.part(...http);
  };
  const reads = [target.read(0, 10), target.read(10, 10)];
  assert.equal(await reads[0], sequence(10));
  assert.equal(await reads[1], sequence(10, 10));
  assert.equal(times, [7000, 7000]);
  assert.match(notes[0]!, /\(429\); the server asks to wait 7 s; trying again$/);
  await target.close();
});

tests("another read, with a place of its own, waits too", async ({ server, options, clock }) => {
  const target = await httpExport(server.url, options);
  clock.hold();
  server.next.push(status(503, { "retry-after": "9" }));
  const first = target.read(0, 10);
  await until("the pause", () => clock.waiting === 1);
  const second = target.read(10, 10);
  await until("another pause", () => clock.waiting === 2);
  assert.is(server.asked.length, 2);
  clock.goOn();
  assert.equal(await first, sequence(10));
  assert.equal(await second, sequence(10, 10));
  assert.ok(clock.now() >= 9000);
  await target.close();
});

tests("Retry-After: seconds, or a date by the server's clock; half a minute at most", () => {
  const date = "Sun, 01 Nov 2026 10:00:00 GMT";
  for (const [value, expected] of [
    ["3", 3000],
    ["0", undefined],
    ["86400", 30_000],
    ["9".repeat(400), 30_000],
    ["Sun, 01 Nov 2026 10:00:09 GMT", 9000],
    ["Sun, 01 Nov 2027 10:00:09 GMT", 30_000],
    ["Sun, 01 Nov 2026 09:00:09 GMT", undefined],
    ["soon", undefined],
    ["-1", undefined],
  ] as const) {
    assert.is(retryAfter(new Headers({ date, "retry-after": value })), expected, value);
  }
  assert.is(retryAfter(new Headers()), undefined);
  const soon = new Date(Date.now() + 3_600_000).toUTCString();
  assert.is(retryAfter(new Headers({ "retry-after": soon })), 30_000, "without the server's date, by ours");
});

tests("a server that says nothing is given up on, and asked again", async ({ server, notes }) => {
  const target = await httpExport(server.url, { onnote: (line) => notes.push(line), timeout: 100 });
  const silent: Answer = () => {};
  const stops: Answer = (_, response) => {
    response.writeHead(206, { "content-range": "bytes 0-9/10000", "content-length": "10", etag: '"one"' });
    response.write(sequence(5));
  };
  server.next.push(silent, stops);
  assert.equal(await target.read(0, 10), sequence(10));
  assert.match(
    notes[0]!,
    /^reading 10 bytes at 0 of .*: nothing came from the server for 0\.1 s; trying again$/,
  );
  await until("the end of all requests", () => server.open === 0);
  await target.close();
});

tests("a body that comes slowly is not late", async ({ server, clock }) => {
  const silence: number[] = [];
  const started = new Set<number>();
  const counting = {
    now: clock.now,
    random: clock.random,
    after(milliseconds: number) {
      silence.push(milliseconds);
      const number = silence.length;
      started.add(number);
      return () => void started.delete(number);
    },
  };
  const target = await httpExport(server.url, { clock: counting, timeout: 12_345 });
  assert.is(started.size, 0, "the timer is over when its request is");
  silence.length = 0;
  let go = () => {};
  server.next.push((_, response) => {
    response.writeHead(206, { "content-range": "bytes 0-9/10000", "content-length": "10", etag: '"one"' });
    response.write(sequence(5));
    go = () => response.end(sequence(5, 5));
  });
  const read = target.read(0, 10);
  await until("the first half", () => silence.length === 3);
  go();
  assert.equal(await read, sequence(10));
  assert.equal(silence, Array(4).fill(12_345), "anew at the head, and at each piece of the body");
  assert.is(started.size, 0);
  await target.close();
});

tests("a read that is cancelled while it waits for another attempt", async ({ server }) => {
  const target = await httpExport(server.url, { retries: 100 });
  server.always = status(503, { "retry-after": "30" });
  const stop = new AbortController();
  const reading = failure(target.read(0, 10, { signal: stop.signal }));
  await until("the refusal", () => server.asked.length === 2 && server.open === 0);
  const reason = new Error("nobody wants it");
  stop.abort(reason);
  assert.is(await reading, reason);
  await target.close();
});

tests("a server that was restarted: reads go on", async ({ server, options, clock, notes }) => {
  const target = await httpExport(server.url, options);
  const { port } = server;
  await server.close();
  clock.hold();
  const reading = target.read(10, 10);
  await until("the pause", () => clock.waiting === 1);
  await server.listen(port);
  clock.goOn();
  assert.equal(await reading, sequence(10, 10));
  assert.match(notes[0]!, /; trying again$/);
  await target.close();
});

tests.run();

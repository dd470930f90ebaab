/** The log is for whoever runs a gateway: nobody else can fill it, or write lines of their own into it. */
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { serverHandshake } from "../../src/nbd/server/handshake.ts";
import { LimitedLog } from "../../src/node/gateway/limited-log.ts";
import { join, memoryExport, nbdServer, webSocket } from "../../src/node/index.ts";
import { negotiate } from "../../src/streams/negotiate.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { quoted } from "../../src/streams/quoted.ts";
import { Sandbox, until, within } from "../harness.ts";
import { startGateway } from "../system/link.ts";
import { eachWay, type Way } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";
import { bearer } from "./login-here.ts";

interface Context extends GatewayHere, Way {
  sandbox: Sandbox;
}

const tests = eachWay<Context>("log");

tests.before.each(async (context) => {
  const sandbox = new Sandbox();
  const local = { listen: `unix:${sandbox.path("nbd.sock")}` };
  Object.assign(context, {
    sandbox,
    ...(await gatewayHere(sandbox, { local }, { hasLogin: context.hasLogin })),
  });
});
tests.after.each(async ({ sandbox, running }) => {
  await running.close();
  await sandbox.end();
});

/** A clock that goes on when it is told to. */
function testClock() {
  let time = 0;
  const timers = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => time,
    after(milliseconds: number, callback: () => void) {
      const timer = { at: time + milliseconds, callback };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    pass(milliseconds: number) {
      time += milliseconds;
      for (const timer of [...timers].filter(({ at }) => at <= time)) {
        timers.delete(timer);
        timer.callback();
      }
    },
  };
}

tests.once("strangers have 20 lines at once and one a second after that; the rest is counted", () => {
  const clock = testClock();
  const lines: string[] = [];
  const log = new LimitedLog((line) => lines.push(line), clock);
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 1000; i++) log.stranger(`line ${i} of second ${second}`);
    clock.pass(1000);
  }
  clock.pass(10_000);
  const summaries = lines.filter((line) => line.includes("left out"));
  assert.ok(summaries.length <= 7, `${summaries.length} lines say what was left out`);
  const written = lines.length - summaries.length;
  assert.is(written, 20 + 59);
  const leftOut = summaries.map((line) => Number(/^(\d+) more lines were left out$/.exec(line)![1]));
  assert.is(written + leftOut.reduce((sum, count) => sum + count, 0), 60_000);

  clock.pass(60_000);
  log.stranger("the next one");
  assert.is(lines.at(-1), "the next one");
});

tests.once("what was left out is said at the end, too", () => {
  const lines: string[] = [];
  const log = new LimitedLog((line) => lines.push(line), testClock());
  for (let i = 0; i < 21; i++) log.session("local", "ended");
  log.end();
  assert.equal(lines.slice(-2), ["local: ended", "local: 1 more line was left out"]);
  log.end();
  assert.is(lines.length, 21);
});

tests.once(
  "a flood of strangers' lines hides none of a session, nor does a session's those of another",
  () => {
    const lines: string[] = [];
    const log = new LimitedLog((line) => lines.push(line), testClock());
    for (let i = 0; i < 1000; i++) {
      log.stranger("flood");
      log.session("one", "flood");
    }
    log.session("two", "4096 bytes");
    assert.is(lines.at(-1), "two: 4096 bytes");
    assert.is(lines.length, 41);
  },
);

tests.once("a line is one line of at most 1,000 characters", () => {
  const lines: string[] = [];
  const log = new LimitedLog((line) => lines.push(line), testClock());
  log.session("a\nb", `x\u001b[2J\u202e${"y".repeat(5000)}`);
  assert.is(lines[0], `a b: x [2J ${"y".repeat(989)}…`);
});

for (const [words, expected] of [
  ["plain", '"plain"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ["a\r\n\tb\u0000", '"a\\r\\n\\tb\\u{0}"'],
  ["\u001b[31m\u202etxt\u2028", '"\\u{1b}[31m\\u{202e}txt\\u{2028}"'],
  ["Müller 💾 日本", '"Müller 💾 日本"'],
  ["\ud83d", '"\\u{d83d}"'],
  ["x".repeat(64), `"${"x".repeat(64)}"`],
  ["x".repeat(65), `"${"x".repeat(64)}…"`],
  [`${"💾".repeat(65)}`, `"${"💾".repeat(64)}…"`],
  ["", '""'],
] as const) {
  tests.once(`words of others in a line: ${expected.slice(0, 40)}`, () => {
    assert.is(quoted(words), expected);
  });
}

/** Connects with a path, and waits for the end. */
async function visit(url: string, path: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, { headers });
  socket.on("error", () => {});
  await within(10_000, "its end", new Promise((resolve) => socket.once("close", resolve)));
}

const FORGED = "local: ended: 127.0.0.1";

tests("a configuration that there is none of is no label", async ({ running, log, headers }) => {
  const path = encodeURIComponent(`${FORGED}\nnbd-gateway: ${FORGED}${"x".repeat(5000)}`);
  await visit(running.url, path, headers);
  assert.is(log.length, 1);
  assert.match(
    log[0]!,
    /^there is no configuration "local: ended: 127\.0\.0\.1\\nnbd-gateway: local: .{1,40}…"$/,
  );
});

tests("what a WebSocket gives as its reason is quoted", async ({ running, log, headers }) => {
  const socket = new WebSocket(`${running.url.replace("http", "ws")}local`, { headers });
  await new Promise((resolve) => socket.once("open", resolve));
  socket.close(4000, `${FORGED}\nnbd-gateway: ${FORGED}, and`);
  await until("it is in the log", () => log.length > 0);
  assert.is(
    log[0],
    'local: the other side closed the WebSocket: "local: ended: 127.0.0.1\\nnbd-gateway: local: ended: 127.0.0.1, and"',
  );
});

tests("what a server says when it refuses is quoted, and cut", async ({ running, log, headers }) => {
  const socket = new WebSocket(`${running.url.replace("http", "ws")}local`, { headers });
  socket.on("error", () => {});
  const words = Buffer.from(`no"\n${FORGED}${"x".repeat(1000)}`);
  const reply = Buffer.alloc(20);
  socket.once("open", () =>
    socket.send(Buffer.from("4e42444d41474943" + "49484156454f5054" + "0001", "hex")),
  );
  // Each option is refused for good, with words.
  let heard = Buffer.alloc(0);
  socket.on("message", (bytes) => {
    heard = Buffer.concat([heard, bytes as Buffer]);
    for (let at = 4; at + 16 <= heard.length; at += 16 + heard.readUInt32BE(at + 12)) {
      if (at < answered) continue;
      answered = at + 16;
      reply.writeBigUInt64BE(0x3e889045565a9n, 0);
      reply.writeUInt32BE(heard.readUInt32BE(at + 8), 8);
      reply.writeUInt32BE(0x80000002, 12);
      reply.writeUInt32BE(words.length, 16);
      socket.send(Buffer.concat([reply, words]));
    }
  });
  let answered = 0;
  await until("it is in the log", () => log.length > 0);
  const shown = `"no\\"\\nlocal: ended: 127.0.0.1${"x".repeat(37)}…"`;
  assert.is(log[0], `local: the server refused the export "": ERR_POLICY, ${shown}`);
});

tests.once("a name that a client asks for is quoted, and cut", async () => {
  const [near, far] = transportPair();
  const refused = negotiate(near, (dialogue) =>
    serverHandshake(dialogue, [{ name: "disk", target: memoryExport(new Uint8Array(1)) }]),
  );
  refused.catch(() => {});
  const name = Buffer.from(`${FORGED}\n${"x".repeat(4000)}`);
  const option = Buffer.from("0000000149484156454f5054" + "00000001" + "00000000", "hex");
  option.writeUInt32BE(name.length, 16);
  await far.writable.getWriter().write(Buffer.concat([option, name]));
  const { message } = await refused.then(
    () => new Error("it is let in"),
    (error: Error) => error,
  );
  const shown = `"local: ended: 127.0.0.1\\n${"x".repeat(40)}…"`;
  assert.is(message, `the client asked for an export that is not offered: ${shown}`);
});

tests(
  "thousands who ask for nonsense fill some KiB, and a session is heard among them",
  async ({ sandbox, hasLogin }) => {
    const running = await startGateway(sandbox, {}, { hasLogin });
    const path = encodeURIComponent(`${FORGED} ${"x".repeat(8000)}`);
    const flood = async (count: number) => {
      for (let i = 0; i < count; i++) await visit(running.url, path);
    };
    await Promise.all(Array.from({ length: 20 }, () => flood(25)));
    const headers = running.token === undefined ? {} : bearer(running.token);
    const socket = new WebSocket(`${running.url}local`, { headers });
    const ended = join(webSocket(socket), nbdServer(memoryExport(new Uint8Array(4096), { readOnly: true })));
    await until("the session is heard", () => /^nbd-gateway: local: 4096 bytes, /m.test(running.stderr));
    socket.close(1000);
    await ended;
    running.kill();
    await within(10_000, "its end", running.exit);
    assert.ok(running.stderr.length < 16_384, `500 visits made ${running.stderr.length} bytes`);
    const counted = [...running.stderr.matchAll(/^nbd-gateway: (\d+) more lines were left out$/gm)];
    const line = hasLogin
      ? /^nbd-gateway: refused "GET \/local.*" with 401: /gm
      : /^nbd-gateway: there is no configuration /gm;
    const shown = running.stderr.match(line)!.length;
    assert.is(shown + counted.reduce((sum, [, count]) => sum + Number(count), 0), 500);
  },
);

tests.run();

/** nbd-serve as a person sees it: on a terminal, and where there is none; and as a script sees it. */
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type WebSocket, WebSocketServer } from "ws";
import type { Export } from "../../src/export/export.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { webSocket } from "../../src/transport/websocket.ts";
import { eventsOf } from "../bin/events-schema.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { bundle } from "./kernel/bundle.ts";
import { PseudoTerminal, type PseudoTerminalOptions } from "./pseudo-terminal.ts";
import { SLOW } from "./slow-flush.ts";

const SIZE = 1 << 20;

/** What begins each control sequence; and one that is written whenever the line is drawn. */
const ESCAPE = "\x1b";
const CLEAR = `${ESCAPE}[0J`;

/** How often the line was drawn so far. */
const drawn = ({ written }: PseudoTerminal) => written.split(CLEAR).length - 1;

/** The relay that nbd-serve connects to; the test reads from it. */
class Reader {
  readonly #server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  readonly #sockets: WebSocket[] = [];
  #disk: Promise<Export> | undefined;

  async listen(): Promise<this> {
    this.#server.on("connection", (socket) => {
      socket.binaryType = "arraybuffer";
      this.#sockets.push(socket);
      this.#disk = nbdClient(webSocket(socket));
      this.#disk.catch(() => {});
    });
    await once(this.#server, "listening");
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** The last one that has connected, once there are so many. */
  async disk(connections = 1): Promise<Export> {
    await until("nbd-serve connects", () => this.#sockets.length >= connections, 60_000);
    return this.#disk!;
  }

  /** The link is lost. */
  cut(): void {
    this.#sockets.at(-1)!.terminate();
  }

  /** The other side ends it, and says why. */
  refuse(): void {
    this.#sockets.at(-1)!.close(4000, "no more of that");
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate();
    this.#server.close();
  }
}

interface Context {
  sandbox: Sandbox;
  reader: Reader;
}

const tests = suite<Context>("nbd-serve on a terminal");

const programs = new Sandbox();
/** nbd-serve, whose flushes may be made slow. */
let script: string;

tests.before(async () => {
  script = await bundle(programs, "bin/nbd-serve.ts", {
    name: "slow-flush.mjs",
    instead: { "src/node/file.ts": "test/system/slow-flush.ts" },
  });
});
tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.reader = await new Reader().listen();
  writeFileSync(context.sandbox.path("disk.img"), Buffer.alloc(SIZE));
});
tests.after.each(async ({ sandbox, reader }) => {
  await sandbox.end();
  reader.close();
});
tests.after(() => programs.end());

const isLine = (row: string) => /^serving .* in flight$/.test(row);
const firstLine = ({ reader }: Context) => `nbd-serve: serving disk.img, ${SIZE} bytes, to ${reader.url}`;

function onTerminal(context: Context, options: PseudoTerminalOptions = {}, ...flags: string[]) {
  const { sandbox, reader } = context;
  return new PseudoTerminal(sandbox, [process.execPath, script, ...flags, "disk.img", reader.url], options);
}

function piped({ sandbox, reader }: Context, ...flags: string[]): Running {
  return sandbox.start(program("nbd-serve"), [...flags, "disk.img", reader.url]);
}

const terminal = needing(tests, ["python3"]);

terminal("one line tells how it goes, the log stands above", async (context) => {
  const shown = onTerminal(context);
  const disk = await context.reader.disk();
  await shown.untilLast("the line", isLine);
  await disk.read(0, SIZE / 4);
  const rows = await shown.untilLast("what was read", (row) => row.includes("256.0 KiB of 1.0 MiB read"));
  assert.equal(rows.slice(0, -1), [firstLine(context)]);
  assert.match(
    rows[1]!,
    /^serving +\d+\.\d KiB\/s +\d+(\.\d+)? ms +256\.0 KiB of 1\.0 MiB read +0 in flight$/,
  );
  assert.ok(shown.written.includes(`${ESCAPE}[32mserving${ESCAPE}[39m`), "in green");
});

terminal("40 columns, and a window that is resized", async (context) => {
  const shown = onTerminal(context, { columns: 40 });
  const disk = await context.reader.disk();
  await disk.read(0, SIZE);
  const isNarrow = (row: string) => /^serving .*100 %$/.test(row);
  await shown.untilLast("the line", isNarrow);
  for (const [columns, isRight] of [
    [80, isLine],
    [30, (row: string) => /^serving .*B\/s/.test(row)],
    [100, isLine],
    [40, isNarrow],
  ] as const) {
    shown.resize(columns);
    const rows = await shown.untilLast(
      `the line in ${columns} columns`,
      (row) => isRight(row) && row.length < columns,
    );
    assert.is(rows.filter((row) => row.startsWith("serving")).length, 1, rows.join("\n"));
  }
});

terminal("at most a few redraws a second, none when nothing changes", async (context) => {
  const shown = onTerminal(context);
  const disk = await context.reader.disk();
  await shown.untilLast("the line", isLine);
  const began = performance.now();
  const before = drawn(shown);
  while (performance.now() - began < 1500) await disk.read(0, 4096);
  const draws = drawn(shown) - before;
  const seconds = (performance.now() - began) / 1000;
  assert.ok(draws > 0 && draws <= 2 * seconds + 1, `${draws} in ${seconds} s`);
  await shown.untilLast("it is quiet", (row) => /^serving +0 B\/s +- ms /.test(row));
  const { length } = shown.written;
  await sleep(1100);
  assert.is(shown.written.slice(length), "");
});

terminal("a link that is lost, and is back", async (context) => {
  const shown = onTerminal(context);
  await (await context.reader.disk()).read(0, 512);
  context.reader.cut();
  const rows = await shown.untilLast("it is lost", (row) => /^link lost, trying until \d\d:\d\d /.test(row));
  assert.is(
    rows.filter((row) => row.startsWith("nbd-serve: the link was lost, trying for 300 s: ")).length,
    1,
  );
  await (await context.reader.disk(2)).read(0, 512);
  await shown.untilLast("it is back", isLine);
});

terminal("NO_COLOR", async (context) => {
  const shown = onTerminal(context, { env: { NO_COLOR: "1" } });
  await shown.untilLast("the line", isLine);
  assert.not.ok(shown.written.includes(`${ESCAPE}[3`));
});

terminal("TERM=dumb: lines, without any control characters", async (context) => {
  const shown = onTerminal(context, { env: { TERM: "dumb" } });
  const disk = await context.reader.disk();
  await disk.read(0, 512);
  await shown.untilLast("its line", (row) => row === firstLine(context));
  shown.type("\x03");
  assert.is(await within(10_000, "the end", shown.ended()), "status 0");
  assert.not.ok(shown.written.includes(ESCAPE));
  const rows = await shown.rows();
  assert.equal(rows.slice(0, 2), [firstLine(context), "^Cnbd-serve: ejecting…, Ctrl-C again to end at once"]);
  assert.match(rows[2]!, /^nbd-serve: ejected after \d+ s, 512 bytes in 1 read$/);
  assert.is(rows.length, 3);
});

terminal("--quiet: nothing but errors", async (context) => {
  const shown = onTerminal(context, {}, "--quiet");
  await (await context.reader.disk()).read(0, 512);
  shown.type("\x03");
  assert.is(await within(10_000, "the end", shown.ended()), "status 0");
  assert.equal(await shown.rows(), ["^C"]);
});

terminal("Ctrl-C ends in order, and leaves the summary", async (context) => {
  const shown = onTerminal(context, {}, "--writable");
  await (await context.reader.disk()).read(0, 4096);
  await shown.untilLast("the line", isLine);
  const slow = context.sandbox.path(`disk.img${SLOW}`);
  writeFileSync(slow, "");
  shown.type("\x03");
  await shown.untilLast("what goes on", (row) => row === "ejecting…, Ctrl-C again to end at once");
  rmSync(slow);
  assert.is(await within(10_000, "the end", shown.ended()), "status 0");
  const rows = await shown.rows();
  assert.is(rows[0], firstLine(context));
  assert.match(rows[1]!, /^nbd-serve: ejected after \d+ s, 4\.1 kB in 1 read$/);
  assert.is(rows.length, 2);
});

terminal("Ctrl-C again ends at once, by the signal", async (context) => {
  const shown = onTerminal(context, {}, "--writable");
  await (await context.reader.disk()).read(0, 4096);
  writeFileSync(context.sandbox.path(`disk.img${SLOW}`), "");
  shown.type("\x03");
  await shown.untilLast("what goes on", (row) => row.startsWith("ejecting…"));
  let isOver = false;
  const ended = shown.ended().finally(() => {
    isOver = true;
  });
  // One that comes too soon is taken for the same.
  await until("the end", async () => {
    if (!isOver) shown.type("\x03");
    await sleep(50);
    return isOver;
  });
  assert.is(await ended, "signal 2");
  assert.not.ok(
    (await shown.rows()).some((row) => row.includes("ejecting")),
    "the line is gone",
  );
});

terminal("what it fails with is the last line", async (context) => {
  const shown = onTerminal(context);
  await (await context.reader.disk()).read(0, 4096);
  await shown.untilLast("the line", isLine);
  context.reader.refuse();
  assert.is(await within(10_000, "the end", shown.ended()), "status 1");
  const rows = await shown.rows();
  assert.match(rows[1]!, /^nbd-serve: failed after \d+ s, 4\.1 kB in 1 read$/);
  assert.match(
    rows.slice(2).join(""),
    /^nbd-serve: ws:\S+ the other side closed the WebSocket: "no more of that"/,
  );
});

terminal("a terminal that takes nothing any more holds up no reader", async ({ sandbox, reader }) => {
  // Another program fills it.
  const fill = "while [ ! -e fill ]; do sleep 0.05; done; head -c 300000 /dev/zero | tr '\\0' '\\n'";
  const line = `(${fill}) & exec ${process.execPath} ${script} disk.img ${reader.url}`;
  const shown = new PseudoTerminal(sandbox, ["sh", "-c", line]);
  const disk = await reader.disk();
  await shown.untilLast("the line", isLine);
  shown.take(false);
  writeFileSync(sandbox.path("fill"), "");
  await sleep(500);
  // The line would be drawn anew several times.
  const began = performance.now();
  while (performance.now() - began < 2000) await within(10_000, "a read", disk.read(0, 4096));
  shown.take(true);
  await shown.untilLast("the line, as soon as somebody takes it", isLine);
});

needing(tests, ["bash", "python3"])("in the background it leaves the shell alone", async (context) => {
  const { sandbox, reader } = context;
  const line = `set -m; ${process.execPath} ${script} disk.img ${reader.url} & wait`;
  const shown = new PseudoTerminal(sandbox, ["bash", "-c", line]);
  const disk = await reader.disk();
  await disk.read(0, 4096);
  await shown.untilLast("its line", (row) => row === firstLine(context));
  await sleep(600);
  assert.equal(await shown.rows(), [firstLine(context)]);
});

tests("where there is no terminal: the lines alone", async (context) => {
  const server = piped(context);
  await (await context.reader.disk()).read(0, 512);
  server.kill("SIGINT");
  assert.is(await within(10_000, "the end", server.exit), 0);
  assert.is(server.stderr, `${firstLine(context)}\n`);
  assert.is(server.stdout, "");
});

tests("--json: events for scripts", async (context) => {
  const server = piped(context, "--json");
  const disk = await context.reader.disk();
  await disk.read(0, 65_536);
  const events = () => eventsOf(server.stdout.slice(0, server.stdout.lastIndexOf("\n") + 1));
  const kinds = () => events().map(({ event }) => event);
  await until("progress", () => kinds().includes("progress"));
  context.reader.cut();
  await until("the loss", () => kinds().includes("lost"));
  await (await context.reader.disk(2)).read(SIZE / 2, 512);
  server.kill("SIGINT");
  assert.is(await within(10_000, "the end", server.exit), 0);
  const all = eventsOf(server.stdout);
  const main = all.filter(({ event }) => event !== "message" && event !== "progress");
  assert.equal(
    main.map(({ event }) => event),
    ["started", "serving", "lost", "serving", "ejecting", "ended"],
  );
  const progress = all.find(({ event }) => event === "progress")!;
  assert.equal(progress.covered, { read: 65_536, written: 0 });
  assert.is(main[0]!.image, "disk.img");
  assert.is(main[0]!.to, context.reader.url);
  assert.is(main[1]!.size, SIZE);
  const { how, message, losses, requests } = main.at(-1)!;
  assert.equal([how, message, losses], ["ejected", null, 1]);
  assert.equal(requests, { read: { count: 2, bytes: 65_536 + 512, errors: 0 } });
  // People get the same lines as ever.
  const messages = all.filter(({ event }) => event === "message");
  assert.is(messages.map(({ message }) => `nbd-serve: ${message}\n`).join(""), server.stderr);
});

tests("--json: a failure is told there too, with --quiet", async (context) => {
  const { sandbox, reader } = context;
  const server = sandbox.start(program("nbd-serve"), ["--json", "--quiet", "nowhere.img", reader.url]);
  assert.is(await within(10_000, "the end", server.exit), 1);
  const [started, ended] = eventsOf(server.stdout);
  assert.is(started!.event, "started");
  assert.is(ended!.how, "failed");
  assert.is(server.stderr, `nbd-serve: ${ended!.message}\n`);
});

tests("--json: a reader who has gone ends nothing", async (context) => {
  const server = piped(context, "--json");
  const disk = await context.reader.disk();
  server.process.stdout!.destroy();
  // Time for two events of progress: the first one finds out.
  for (let i = 0; i < 2; i++) {
    await disk.read(0, 512);
    await sleep(1100);
  }
  await disk.read(0, 512);
  assert.is(server.process.exitCode, null);
});

tests("--json is not for the wire", async ({ sandbox }) => {
  const server = sandbox.start(program("nbd-serve"), ["--json", "disk.img", "-"]);
  assert.is(await within(10_000, "the end", server.exit), 1);
  assert.is(server.stderr, "nbd-serve: --json is for a URL: standard output is the wire\n");
});

tests.run();

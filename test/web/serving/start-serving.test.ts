/** The page's side: a Worker, or the page where there is none. The Worker is a stand-in that runs the real engine. */
import { openAsBlob } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newWord } from "../../../src/nbd/word.ts";
import type { FromWorker, ToWorker } from "../../../web/serving/messages.ts";
import { startServingBy } from "../../../web/serving/start-serving.ts";
import { type PagePort, serveFor } from "../../../web/serving/worker-side.ts";
import { sequence } from "../../bytes.ts";
import { Sandbox, until } from "../../harness.ts";
import { simulatedClock } from "../../resuming/clock.ts";
import { Reports, SIZE, scene } from "./scene.ts";

const tests = suite("where a page's server runs");

/** The engine's script as it lies here. */
const SCRIPT = new URL("../../../web/serving/worker.ts", import.meta.url).href;

/** In its place: what a browser's Worker is for the page. */
class StandInWorker {
  static made: StandInWorker[] = [];
  static fault: "throws" | "fails to load" | "is never heard of" | undefined;
  /** What the page has said, without the file. */
  readonly said: string[] = [];
  isEnded = false;
  isDead = false;
  onmessage: ((event: { data: FromWorker }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly options: WorkerOptions;
  readonly #port: PagePort = {
    onmessage: null,
    postMessage: (message, transfer) => {
      const data = structuredClone(message, { transfer: transfer as ArrayBuffer[] });
      setImmediate(() => {
        if (!this.isEnded && !this.isDead) this.onmessage?.({ data });
      });
    },
  };

  constructor(_script: string, options: WorkerOptions) {
    if (StandInWorker.fault === "throws") throw new Error("not allowed here");
    this.options = options;
    StandInWorker.made.push(this);
    if (StandInWorker.fault === "fails to load") setImmediate(() => this.onerror?.());
    else if (StandInWorker.fault === undefined) serveFor(this.#port, Promise.resolve());
  }

  postMessage(message: ToWorker) {
    this.said.push(message.kind);
    // Node clones no File; the rest must be plain.
    const data =
      message.kind === "start"
        ? {
            ...structuredClone({ ...message, options: { ...message.options, file: undefined } }),
            options: message.options,
          }
        : structuredClone(message);
    setImmediate(() => {
      if (!this.isDead) this.#port.onmessage?.({ data });
    });
  }

  terminate() {
    this.isEnded = true;
  }
}

tests.before.each(() => {
  StandInWorker.made = [];
  StandInWorker.fault = undefined;
  Object.assign(globalThis, { Worker: StandInWorker });
});

tests("it serves in a Worker, which is ended with the server", async () => {
  const kept: unknown[] = [];
  const key = newWord();
  const resumeKeys = { get: async () => key, set: (...change: unknown[]) => void kept.push(change) };
  const { options, client, end } = await scene({ resumeKeys, retry: 60 });
  const reports = new Reports();
  const serving = startServingBy(SCRIPT, options, reports.take);
  assert.is(serving.report.state, "connecting");
  const remote = await client();
  assert.equal(await remote.read(0, SIZE), sequence(SIZE));
  await until("it is told", () => serving.report.totals.reads === 1);
  const [worker] = StandInWorker.made;
  assert.equal([serving.isInWorker, worker!.options.type, worker!.said], [true, "module", ["start"]]);
  assert.is(reports.last, serving.report);
  serving.protocols(["other"]);
  serving.wake();
  serving.stop();
  await reports.until("ended");
  assert.equal(worker!.said, ["start", "protocols", "wake", "stop"]);
  assert.ok(worker!.isEnded);
  assert.equal(kept, [], "a gateway that gives no key changes nothing");
  end();
});

for (const fault of [undefined, "throws"] as const) {
  tests(`${fault ? "in the page" : "in a Worker"} no message is longer than it may be`, async () => {
    StandInWorker.fault = fault;
    const { options, sockets, client, end } = await scene({ maxMessage: 1000 });
    const reports = new Reports();
    const serving = startServingBy(SCRIPT, options, reports.take);
    await until("a WebSocket", () => sockets.length > 0);
    let longest = 0;
    sockets[0]!.on("message", (data: Buffer) => {
      longest = Math.max(longest, data.byteLength);
    });
    await (await client()).read(0, SIZE);
    assert.is(longest, 1000);
    serving.stop();
    await reports.until("ended");
    end();
  });
}

for (const fault of ["throws", "fails to load"] as const) {
  tests(`where a Worker ${fault} the page serves itself`, async () => {
    StandInWorker.fault = fault;
    const { options, client, end } = await scene();
    const reports = new Reports();
    const serving = startServingBy(SCRIPT, options, reports.take);
    const remote = await client();
    assert.equal(await remote.read(0, SIZE), sequence(SIZE));
    assert.is(serving.isInWorker, false);
    assert.ok(StandInWorker.made.every(({ isEnded }) => isEnded));
    serving.stop();
    await reports.until("ended");
    end();
  });
}

tests("where the script cannot be had at all, it fails in words", async () => {
  StandInWorker.fault = "fails to load";
  const { options, end } = await scene();
  const reports = new Reports();
  startServingBy(`${SCRIPT}.gone`, options, reports.take);
  await reports.until("failed");
  assert.match(reports.last.failure!.words, /gone/);
  assert.is(reports.last.lines.length, 1);
  end();
});

tests("a Worker that dies is a failure, with what to do", async () => {
  const { clock, time } = simulatedClock();
  const { options, client, end } = await scene();
  const reports = new Reports();
  const serving = startServingBy(SCRIPT, options, reports.take, clock);
  const remote = await client();
  await remote.read(0, 4096);
  await until("it is told", () => serving.report.totals.reads === 1);
  const [worker] = StandInWorker.made;
  worker!.isDead = true;
  await time.run(time.sleep(60_000));
  assert.is(reports.last.state, "failed");
  assert.match(reports.last.failure!.words, /serve again/);
  assert.is(reports.last.totals.reads, 1);
  assert.ok(worker!.isEnded);
  end();
});

tests("a stop is answered though the engine of the page never comes", async () => {
  StandInWorker.fault = "throws";
  const { options, end } = await scene();
  const reports = new Reports();
  const serving = startServingBy("data:text/javascript,await new Promise(() => {})", options, reports.take);
  await until("it is not in a Worker", () => !serving.isInWorker);
  await new Promise(setImmediate);
  serving.stop();
  await reports.until("ended");
  end();
});

tests("a Worker that is never heard of is one that is not there", async () => {
  StandInWorker.fault = "is never heard of";
  const { clock, time } = simulatedClock();
  const { options, client, end } = await scene();
  const reports = new Reports();
  const serving = startServingBy(SCRIPT, options, reports.take, clock);
  await until("the Worker", () => StandInWorker.made.length > 0);
  await time.run(time.sleep(60_000));
  const remote = await client();
  assert.equal(await remote.read(0, 4096), sequence(4096));
  assert.is(serving.isInWorker, false);
  assert.ok(StandInWorker.made[0]!.isEnded);
  serving.stop();
  await reports.until("ended");
  end();
});

tests(
  "stop() before anything has come of it: at once, and while the key or the file is waited for",
  async () => {
    for (const get of [() => undefined, () => new Promise<undefined>(() => {})]) {
      const { options, sockets, end } = await scene({ resumeKeys: { get, set() {} } });
      const reports = new Reports();
      const serving = startServingBy(SCRIPT, options, reports.take);
      serving.stop();
      await reports.until("ended");
      assert.is(reports.all.filter(({ state }) => state === "ended").length, 1);
      assert.equal([reports.last.failure, sockets.length], [undefined, 0]);
      end();
    }
  },
);

tests("a file that cannot be read fails before there is a Worker", async () => {
  const sandbox = new Sandbox();
  const path = sandbox.path("image");
  await writeFile(path, sequence(SIZE));
  const { options, end } = await scene({ file: new File([await openAsBlob(path)], "image") });
  await rm(path);
  const reports = new Reports();
  startServingBy(SCRIPT, options, reports.take);
  await reports.until("failed");
  assert.ok(reports.last.failure!.words.length > 5);
  assert.is(StandInWorker.made.length, 0);
  end();
  await sandbox.end();
});

tests("imported, the script offers the engine and does nothing else", async () => {
  const module = await import(SCRIPT);
  assert.equal(Object.keys(module), ["startInPage"]);
  assert.is((globalThis as { onmessage?: unknown }).onmessage, undefined);
});

tests.run();

/** Readers of events that read too slowly, or not at all. */
import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import * as assert from "uvu/assert";
import type { ConfigurationStatus, StatusDocument } from "../../../src/node/gateway/status/document.ts";
import { Events } from "../../../src/node/gateway/status/events.ts";
import { suite, until } from "../../harness.ts";

const tests = suite("readers of events");

/** A response whose reader takes something only when it is told to. */
class Reader extends Writable {
  text = "";
  #taken: (() => void) | undefined;

  writeHead(): this {
    return this;
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk;
    this.#taken = callback;
  }

  /** Takes what was sent, until nothing is left. */
  async take(): Promise<void> {
    for (let taken = this.#taken; taken; taken = this.#taken) {
      this.#taken = undefined;
      taken();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const LENGTH = 1000;
const ROUNDS = 20;

/** Events of configurations whose names are numbers, and whose state is what the test says. */
function eventsOf(count: number, stallTime?: number) {
  const names = Array.from({ length: count }, (_, i) => String(i));
  const words = new Map(names.map((name) => [name, 0]));
  const configuration = (name: string) =>
    ({ name, lastError: { words: String(words.get(name)).padStart(LENGTH), at: "" } }) as ConfigurationStatus;
  const events = new Events({
    document: () => ({ version: 1, configurations: names.map(configuration) }) as unknown as StatusDocument,
    configuration,
    busy: () => [],
    most: 64,
    ...(stallTime !== undefined && { stallTime }),
  });
  const change = (name: string) => {
    words.set(name, words.get(name)! + 1);
    events.changed(name);
  };
  return { events, names, change };
}

const add = (events: Events, reader: Reader, isWelcome = () => true) =>
  events.add(reader as unknown as ServerResponse, isWelcome);

tests(
  "for one who does not read nothing piles up, and then comes the latest of each; others are sent all",
  async () => {
    const { events, names, change } = eventsOf(20);
    const [slow, quick] = [new Reader(), new Reader()];
    add(events, slow);
    add(events, quick);
    await quick.take();
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of names) change(name);
      await quick.take();
    }
    const whole = 21 * LENGTH + 2000;
    assert.ok(slow.writableLength < slow.writableHighWaterMark + whole, `${slow.writableLength} bytes wait`);
    assert.is(quick.text.match(/^event: configuration$/gm)?.length, ROUNDS * names.length);
    await slow.take();
    const latest = slow.text.match(new RegExp(` ${ROUNDS}",`, "g"))?.length;
    assert.is(latest, names.length, "the latest of each");
    const sent = slow.text.match(/^event: configuration$/gm)!.length;
    assert.ok(sent < 3 * names.length, `${sent} events`);
    slow.destroy();
    quick.destroy();
  },
);

tests("one who takes nothing is dropped", async () => {
  const { events, change } = eventsOf(20, 50);
  const reader = new Reader();
  add(events, reader);
  change("1");
  await until("it is dropped", () => reader.destroyed);
  await until("it is forgotten", () => events.size === 0);
});

tests("one whose welcome is over, or cannot be found out, is ended within a second or so", async () => {
  const { events } = eventsOf(1);
  const readers = [() => false, () => assert.unreachable(), () => true].map((isWelcome) => {
    const reader = new Reader();
    add(events, reader, isWelcome as () => boolean);
    return reader;
  });
  await Promise.all(readers.map((reader) => reader.take()));
  await until("two are ended", () => readers.filter(({ writableEnded }) => writableEnded).length === 2, 5000);
  assert.is(readers[2]!.writableEnded, false);
  events.end();
  assert.is(readers[2]!.writableEnded, true);
});

tests.run();

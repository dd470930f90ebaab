/** The events of nbd-serve --json. */
import { Writable } from "node:stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Course } from "../../bin/serve/course.ts";
import { Events } from "../../bin/serve/events.ts";
import { eventsOf, isEvent } from "./events-schema.ts";

const tests = suite("events");

const SERVED = { image: "disk.img", to: "https://host/0", program: "1.2.3" };

function collecting() {
  const out = { text: "", stream: new Writable() };
  out.stream._write = (chunk, _encoding, done) => {
    out.text += chunk;
    done();
  };
  return out;
}

tests("each is as the schema says, from the first to the last", async () => {
  const out = collecting();
  const course = new Course({ size: 512, isWritable: true, retry: 300 });
  const events = new Events(out.stream, (words) => words.toUpperCase(), SERVED);
  events.follow(course);
  events.line("a line");
  events.line("another", "error");
  course.serving();
  events.changed();
  course.lost();
  events.changed();
  course.ejecting();
  events.changed();
  await events.ended("failed", "a fault");
  const told = eventsOf(out.text);
  assert.equal(
    told.map(({ event }) => event),
    ["started", "message", "message", "serving", "lost", "ejecting", "ended"],
  );
  const { at, ...first } = told[0]!;
  assert.equal(first, { event: "started", version: 1, ...SERVED });
  assert.is(told[1]!.message, "A LINE");
  assert.is(told[2]!.level, "error");
  assert.is(told[6]!.message, "A FAULT");
  assert.is(told[6]!.losses, 1);
});

tests("what fails before the image is open has an end too", async () => {
  const out = collecting();
  await new Events(out.stream, String, SERVED).ended("failed", "no such file");
  const [, { event, how, uptime }] = eventsOf(out.text) as [unknown, Record<string, unknown>];
  assert.equal([event, how, uptime], ["ended", "failed", 0]);
});

tests("a reader who takes nothing, or has gone, holds nothing up, and memory is bounded", async () => {
  const stuck = new Writable({ write() {} });
  const events = new Events(stuck, String, SERVED);
  for (let i = 0; i < 10_000; i++) events.line("nobody reads it");
  assert.ok(stuck.writableLength < 70_000, `${stuck.writableLength} bytes`);
  await events.ended("ended");

  const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
  const others = new Events(gone, String, SERVED);
  for (let i = 0; i < 10; i++) {
    others.line("nobody reads it");
    await new Promise(setImmediate);
  }
  await others.ended("ended");
});

tests("the schema refuses what is no event", () => {
  const at = new Date().toISOString();
  for (const wrong of [
    { event: "started", at },
    { event: "nonsense", at },
    { event: "ejecting" },
    { event: "ejecting", at, more: 1 },
    { event: "serving", at, size: -1, isWritable: true },
  ]) {
    assert.not.ok(isEvent(wrong), JSON.stringify(wrong));
  }
});

tests.run();

/** Reading server-sent events that come in any pieces, end, go silent, or never end. */
import * as assert from "uvu/assert";
import { readEvents } from "../../../../web/slots/feed/read-events.ts";
import { failure } from "../../../bytes.ts";
import { suite, within } from "../../../harness.ts";

const tests = suite("server-sent events");

const bytes = (text: string) => new TextEncoder().encode(text);

function streamOf(...chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

tests("an event is told whole, however its bytes came", async () => {
  const all = bytes('event: status\ndata: {"ü":1}\n\n:\n\nevent: configuration\ndata: 2\n\n');
  const single = [...all].map((byte) => Uint8Array.of(byte));
  const events: string[] = [];
  await readEvents(streamOf(...single), (name, data) => events.push(`${name} ${data}`));
  assert.equal(events, ['status {"ü":1}', "configuration 2"]);
});

tests("what is not ended is not told", async () => {
  const events: string[] = [];
  await readEvents(streamOf(bytes("event: status\ndata: 1")), (name) => events.push(name));
  assert.equal(events, []);
});

tests("silence is an end, and the stream is given up", async () => {
  let wasCancelled = false;
  const silent = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes(":\n\n")),
    cancel() {
      wasCancelled = true;
    },
  });
  const error = await within(5000, "the end", failure(readEvents(silent, () => {}, 20)));
  assert.is(error.message, "nothing came for 0.02 s");
  assert.ok(wasCancelled);
});

tests("an event that never ends is given up before it takes much memory", async () => {
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1 << 16;
      controller.enqueue(new Uint8Array(1 << 16).fill(97));
      if (sent > 1 << 27) controller.error(new Error("128 MiB were taken"));
    },
  });
  const error = await failure(readEvents(endless, () => {}));
  assert.is(error.message, "an event is too long");
  assert.ok(sent <= 1 << 23, `${sent} bytes were taken`);
});

tests.run();

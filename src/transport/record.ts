import { checkTransport, checkType, shown } from "../streams/check.ts";
import type { Transport } from "../streams/duplex.ts";
import { ReadableStream, WritableStream } from "../streams/runtime.ts";
import { tryClose, tryError } from "../streams/try-close.ts";
import { type Message, otherSide, type Side } from "./conversation.ts";

/**
 * Takes what was said. The bytes are lent until it returns, or until the promise that it returns settles; they
 * go on their way after that, so a slow sink slows the transport down and nothing piles up.
 */
export type RecordSink = (message: Message) => void | Promise<void>;

/**
 * A transport that reports all bytes that pass: what is written before it leaves, what arrives before it is
 * handed on, so that a question always comes before its answer. Backpressure and ends of life are those of
 * `transport`, which belongs to it.
 *
 * @param side the side of whoever uses the transport: what is written is from there
 * @param sink when it throws or rejects, both streams and `transport` fail with its error
 */
export function record(transport: Transport, side: Side, sink: RecordSink): Transport {
  checkTransport(transport, "the transport");
  if (side !== "client" && side !== "server") {
    throw new TypeError(`the side must be "client" or "server", not ${shown(side)}`);
  }
  checkType(sink, "the sink", "function");
  const reader = transport.readable.getReader();
  const writer = transport.writable.getWriter();

  async function report(from: Side, bytes: Uint8Array) {
    try {
      await sink({ from, bytes });
    } catch (error) {
      transport.close(error);
      throw error;
    }
  }

  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        reader.closed.catch((error) => tryError(controller, error));
      },
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) return tryClose(controller);
        await report(otherSide(side), value);
        controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );

  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      writer.closed.catch((error) => tryError(controller, error));
      // An abort must reach the write in flight, which our own abort() waits for.
      controller.signal.addEventListener("abort", () => {
        writer.abort(controller.signal.reason).catch(() => {});
      });
    },
    async write(chunk) {
      await report(side, chunk);
      // As bytes of nobody's: who listens may not be done with what others would give back.
      await writer.write(chunk.subarray());
    },
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });

  return { readable, writable, closed: transport.closed, close: (reason) => transport.close(reason) };
}

import { checkTransport, checkType, shown } from "../streams/check.ts";
import type { Transport } from "../streams/duplex.ts";
import { ReadableStream, WritableStream } from "../streams/runtime.ts";
import { tryClose, tryError } from "../streams/try-close.ts";
import { type Message, otherSide, type Side } from "./conversation.ts";

/**
 * Takes a message. The bytes may be used until it returns, or until its promise settles. They are passed on after that: a
 * slow sink slows the transport down, and nothing piles up.
 */
export type RecordSink = (message: Message) => void | Promise<void>;

/**
 * A transport that reports all bytes that pass: what is written before it is sent, and what arrives before it is handed on.
 * So a question is reported before its answer. Backpressure and ends are those of `transport`, which belongs to it.
 *
 * @param side the side of the user of this transport: what the user writes is from this side
 * @param sink if it throws or rejects, both streams and `transport` fail with its error
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
      // abort() waits for the write in flight, so the abort must reach that write.
      controller.signal.addEventListener("abort", () => {
        writer.abort(controller.signal.reason).catch(() => {});
      });
    },
    async write(chunk) {
      await report(side, chunk);
      // A subarray is a new object, which is not lent: nobody gives these bytes back while the sink still has them.
      await writer.write(chunk.subarray());
    },
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });

  return { readable, writable, closed: transport.closed, close: (reason) => transport.close(reason) };
}

import { checkBytes, checkMethods, shown } from "../streams/check.ts";
import { deferred } from "../streams/deferred.ts";
import type { Transport } from "../streams/duplex.ts";
import { Ended } from "../streams/ended.ts";
import { giveBack } from "../streams/lent.ts";
import { messageOf } from "../streams/message-of.ts";
import { quoted } from "../streams/quoted.ts";
import { ReadableStream, WritableStream } from "../streams/runtime.ts";
import { tryClose, tryError } from "../streams/try-close.ts";

/** What is needed of a MessagePort: a browser's has it, and so has Node's. Their declarations have no common type but this. */
export interface MessagePortLike {
  postMessage(message: never, transfer: never): void;
  addEventListener(type: never, listener: never): void;
  start(): void;
  close(): void;
}

/**
 * What is said through a port: bytes; how much of what was sent has been read, as `weightOf` counts it; `null` when no more
 * bytes will follow; and a string when a side closes both directions, empty or with what has failed.
 */
type Said = Uint8Array | number | null | string;

/** What may have been sent and not read yet: it waits in the memory of the other side. */
const WINDOW = 1 << 20;
/** The longest message, in bytes; a longer chunk is sent in several. */
const LONGEST = 1 << 18;
/** What a message takes besides its bytes: very many short ones would hold many times their length. */
const MESSAGE_WEIGHT = 1 << 8;

const weightOf = (byteLength: number): number => byteLength + MESSAGE_WEIGHT;

/**
 * A transport over a MessagePort, to a Worker or another window. Both ends of the channel have to be one of these. The port
 * belongs to the transport.
 *
 * A port has no backpressure of its own, so each side says how much it has read, and at most 1 MiB is under way in each
 * direction. What is written is copied once, and handed over from then on.
 *
 * When a Worker is terminated, the transport fails in Node. Many browsers do not tell this end of the channel, so call
 * `close()` before you terminate a Worker.
 *
 * @throws TypeError when it is not a MessagePort
 */
export function messagePort(port: MessagePortLike): Transport {
  checkMethods(port, "the port", "a MessagePort", ["postMessage", "addEventListener", "start", "close"]);
  const closed = deferred();
  const received: Uint8Array[] = [];
  let receivedWeight = 0;
  let sentWeight = 0;
  let isWanted = false;
  /** Nobody reads any more: what comes is dropped. */
  let isDropping = false;
  let haveEnded = false;
  let hasOtherEnded = false;
  let isReadableOver = false;
  let isOver = false;
  /** The other side is gone. What it has sent is still handed on; then this ends, with the error if there is one. */
  let gone: { error: unknown } | undefined;
  let output!: ReadableStreamDefaultController<Uint8Array>;
  let input!: WritableStreamDefaultController;
  let wake: (() => void) | undefined;

  function say(what: Said, transfer: ArrayBuffer[] = []) {
    port.postMessage(what as never, transfer as never);
  }

  /** Ends everything here at once. */
  function finish(error?: unknown) {
    if (isOver) return;
    isOver = true;
    received.length = 0;
    if (error === undefined) {
      tryClose(output);
      tryError(input, new Ended("the port was closed"));
      closed.resolve();
    } else {
      tryError(output, error);
      tryError(input, error);
      closed.reject(error);
    }
    wake?.();
    port.close();
  }

  function finishIfBothEnded() {
    if (haveEnded && isReadableOver) finish(gone?.error);
  }

  /** Nobody hears us any more, and nothing more will come. */
  function otherIsGone(error?: unknown) {
    gone = { error };
    hasOtherEnded = true;
    haveEnded = true;
    tryError(input, error ?? new Ended("the port was closed"));
    if (error === undefined) closed.resolve();
    else closed.reject(error);
    wake?.();
    port.close();
    deliver();
    finishIfBothEnded();
  }

  function endOurs() {
    if (haveEnded || isOver) return;
    haveEnded = true;
    say(null);
    finishIfBothEnded();
  }

  function close(reason?: unknown) {
    if (isOver) return;
    const isFailure = reason !== undefined && !(reason instanceof Ended);
    say(isFailure ? messageOf(reason) || "it failed" : "");
    finish(isFailure ? reason : undefined);
  }

  function read(bytes: Uint8Array) {
    const weight = weightOf(bytes.byteLength);
    receivedWeight -= weight;
    say(weight);
  }

  /** Hands on what has come, if somebody wants it. */
  function deliver() {
    const bytes = isWanted ? received.shift() : undefined;
    if (bytes) {
      isWanted = false;
      output.enqueue(bytes);
      read(bytes);
    }
    if (received.length > 0 || !hasOtherEnded || isReadableOver) return;
    isReadableOver = true;
    tryClose(output);
    finishIfBothEnded();
  }

  function hear(said: unknown) {
    if (hasOtherEnded && (said === null || said instanceof Uint8Array)) {
      close(new Error(`the other side sent ${shown(said)} after its end`));
    } else if (said instanceof Uint8Array) {
      receivedWeight += weightOf(said.byteLength);
      if (receivedWeight > WINDOW) return close(new Error("the other side sent more than it may"));
      if (isDropping) return read(said);
      received.push(said);
      deliver();
    } else if (typeof said === "number" && said > 0 && said <= sentWeight) {
      sentWeight -= said;
      wake?.();
    } else if (said === null) {
      hasOtherEnded = true;
      deliver();
    } else if (typeof said === "string") {
      if (said === "") otherIsGone();
      else finish(new Error(`the other side closed the port: ${quoted(said)}`));
    } else close(new Error(`the other side sent ${shown(said)}, which no transport over a port sends`));
  }

  function on(type: "message" | "messageerror" | "close", listener: (event: { data?: unknown }) => void) {
    port.addEventListener(type as never, listener as never);
  }

  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        output = controller;
      },
      pull() {
        isWanted = true;
        deliver();
      },
      cancel(reason) {
        if (!(reason instanceof Ended)) return close(reason);
        isDropping = true;
        isReadableOver = true;
        for (const bytes of received.splice(0)) read(bytes);
        finishIfBothEnded();
      },
    },
    { highWaterMark: 0 },
  );

  /** Waits until so much may be sent. */
  async function room(weight: number) {
    while (!isOver && !gone && sentWeight + weight > WINDOW) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = undefined;
    }
    if (isOver || gone) throw gone?.error ?? new Ended("the port was closed");
  }

  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      input = controller;
      // abort() waits for the write in flight, which may wait for the other side. Not at once: see concurrent-layer.ts.
      controller.signal.addEventListener("abort", () =>
        queueMicrotask(() => close(controller.signal.reason)),
      );
    },
    async write(chunk) {
      checkBytes(chunk, "what is written to a port");
      for (let at = 0; at < chunk.byteLength; at += LONGEST) {
        // What is sent as it is would take along all of the memory that it is a part of.
        const copy = new Uint8Array(Math.min(LONGEST, chunk.byteLength - at));
        const weight = weightOf(copy.byteLength);
        await room(weight);
        copy.set(chunk.subarray(at, at + copy.byteLength));
        sentWeight += weight;
        say(copy, [copy.buffer]);
      }
      giveBack(chunk);
    },
    close: endOurs,
    abort: (reason) => close(reason),
  });

  on("message", ({ data }) => {
    if (!isOver && !gone) hear(data);
  });
  on("messageerror", () => close(new Error("a message of the other side cannot be read")));
  on("close", () => {
    if (isOver || gone) return;
    const error = new Error("the other side of the port is gone");
    if (hasOtherEnded) otherIsGone(haveEnded ? undefined : error);
    else finish(error);
  });
  port.start();
  return { readable, writable, closed: closed.promise, close };
}

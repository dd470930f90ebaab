import { checkAmount, checkBytes, checkMethods } from "../streams/check.ts";
import { deadline } from "../streams/deadline.ts";
import { deferred } from "../streams/deferred.ts";
import type { Transport } from "../streams/duplex.ts";
import { Ended } from "../streams/ended.ts";
import type { ForOthers } from "../streams/for-others.ts";
import { giveBack, isLent } from "../streams/lent.ts";
import { messageOf } from "../streams/message-of.ts";
import { push } from "../streams/push.ts";
import { quoted } from "../streams/quoted.ts";
import { WritableStream } from "../streams/runtime.ts";
import { tryError } from "../streams/try-close.ts";
import { closeReason } from "./close-reason.ts";

/** What is said to whoever sends text. */
export const TEXT_REFUSED =
  "the other side sent text where NBD needs binary messages (websocketd: use --binary)";

/** The WebSocket failed, or its other side ended it as a failure. */
export class WebSocketError extends Error implements ForOthers {
  override name = "WebSocketError";
  /** The other side's own words, as they came, where it gave some. */
  readonly reason: string | undefined;

  constructor(message: string, { reason, ...options }: ErrorOptions & { reason?: string } = {}) {
    super(message, options);
    this.reason = reason;
  }

  get forOthers(): string {
    return this.message;
  }
}

interface SocketEvent {
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  /** What has failed; a browser does not tell. */
  readonly error?: unknown;
}

/**
 * What is needed of a WebSocket: the browser's has it, and so has that of the package `ws`. Their declarations
 * of `send` and `addEventListener` have no common type but this.
 */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  /** Only `ws` calls `done`, with an error when the data was not sent. */
  send(data: never, done?: never): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: never, listener: never): void;
  /** `ws` only: stops and resumes reading from the network. */
  pause?(): void;
  resume?(): void;
  /** `ws` only: ends the connection without the closing handshake. */
  terminate?(): void;
}

export interface WebSocketTransportOptions {
  /** Bytes that may wait to be sent before a write waits. Default 4 MiB. */
  sendBuffer?: number;
  /** Bytes that may wait to be read. Beyond them `ws` stops reading; see `receiveLimit` for browsers. Default 1 MiB. */
  receiveBuffer?: number;
  /**
   * Bytes that may wait to be read from a WebSocket that cannot be paused, a browser's, before the connection is
   * given up. Default 64 MiB.
   */
  receiveLimit?: number;
  /** What the other side is told of a reason to close. Default: the message of an error, else the reason as a string. */
  wordsFor?(reason: unknown): string;
  /** Puts into words why the WebSocket could not be opened, or has failed; a browser does not tell. Default: as it is told. */
  explain?(error: Error): WebSocketError;
}

const CONNECTING = 0;
const OPEN = 1;
/** Milliseconds between two looks at `bufferedAmount`, of whose decrease no event tells. */
const DRAIN_INTERVAL = 4;
/** Milliseconds that the other side is given to answer a close frame. */
const CLOSE_TIME = 1000;
/** The close code of a failure, whose reason says what it was. */
const FAILED = 4000;
/** The close code of a connection that ended without a close frame. */
const LOST = 1006;
/** Close codes with which the other side says no more than that it is gone: normal, going away, none, no close frame. */
const GONE = new Set([1000, 1001, 1005, LOST]);
/** What a message counts at least while it waits to be read, in bytes: as an object it takes more than that. */
const LEAST = 64;

/**
 * A transport over a WebSocket, a browser's or one of the package `ws`, which may still be connecting. Each write
 * is a binary message; message boundaries mean nothing.
 *
 * A connection that was lost ends the readable in order, since what it meant is for the reader to say. The
 * writable does not end with it: it fails when something more is written, or something was not sent.
 *
 * What was lent is given back when `ws` has sent it, which takes a `ws` on a socket of Node's.
 *
 * A browser gives no way to push back on what it receives: bound it by what is asked for, and by `receiveLimit`.
 */
export function webSocket(socket: WebSocketLike, options: WebSocketTransportOptions = {}): Transport {
  const { sendBuffer = 1 << 22, receiveBuffer = 1 << 20, receiveLimit = 1 << 26 } = options;
  const { wordsFor = messageOf, explain = told } = options;
  checkMethods(socket, "the socket", "a WebSocket", ["send", "close", "addEventListener"]);
  checkAmount(sendBuffer, "sendBuffer, in bytes,");
  checkAmount(receiveBuffer, "receiveBuffer, in bytes,");
  checkAmount(receiveLimit, "receiveLimit, in bytes,");
  const closed = deferred();
  const opened = deferred();
  let problem: WebSocketError | undefined;
  let over = false;
  let lost = false;
  let unsent = false;
  let writer!: WritableStreamDefaultController;
  let wake: (() => void) | undefined;
  let callOff: (() => void) | undefined;

  // What `ws` has is a Buffer. As an ArrayBuffer a message that came with others would be copied once more.
  socket.binaryType = socket.pause ? "nodebuffer" : "arraybuffer";
  if (socket.readyState === OPEN) opened.resolve();

  const incoming = push<Uint8Array>(
    {
      highWaterMark: receiveBuffer,
      resume: () => socket.resume?.(),
      cancel(reason) {
        if (!(reason instanceof Ended)) close(reason);
      },
    },
    (bytes) => Math.max(bytes.byteLength, LEAST),
  );

  function finish(error?: unknown) {
    if (over) return;
    over = true;
    if (error === undefined) {
      incoming.close();
      closed.resolve();
    } else {
      incoming.error(error);
      closed.reject(error);
    }
    opened.reject(error ?? new Ended("the WebSocket was closed"));
    if (!lost) tryError(writer, error ?? new Ended("the WebSocket was closed"));
    wake?.();
  }

  function close(reason?: unknown) {
    if (over) return;
    finish(reason);
    if (reason === undefined || reason instanceof Ended) hangUp(1000);
    else hangUp(FAILED, closeReason(wordsFor(reason)));
  }

  /** Sends the close frame; one side alone must be able to end it where the other does not answer. */
  function hangUp(code: number, reason?: string) {
    socket.resume?.();
    socket.close(code, reason);
    terminateSoon();
  }

  function terminateSoon() {
    if (socket.terminate) callOff ??= deadline(CLOSE_TIME, () => socket.terminate?.());
  }

  function on(type: "open" | "message" | "error" | "close", listener: (event: SocketEvent) => void) {
    socket.addEventListener(type as never, listener as never);
  }

  on("open", () => opened.resolve());
  on("message", ({ data }) => {
    wake?.();
    if (over) return;
    const bytes = bytesIn(data);
    if (!bytes) return close(new WebSocketError(TEXT_REFUSED));
    // It would wait to be read at no cost in bytes, in any number.
    if (bytes.byteLength === 0) return;
    if (incoming.push(bytes)) return;
    if (socket.pause) socket.pause();
    else if (incoming.queued > receiveLimit) {
      close(new WebSocketError(`${incoming.queued} bytes came in faster than they were read`));
    }
  });
  on("error", ({ error }) => {
    problem = error instanceof Error ? explain(error) : new WebSocketError("the connection failed");
    finish(problem);
    terminateSoon();
  });
  on("close", ({ code = 1006, reason = "" }) => {
    callOff?.();
    lost = !over && code === LOST && problem === undefined;
    unsent ||= socket.bufferedAmount > 0;
    if (problem !== undefined) finish(problem);
    else if (GONE.has(code)) finish();
    else if (reason === "")
      finish(new WebSocketError(`the other side closed the WebSocket with code ${code}`));
    else finish(new WebSocketError(`the other side closed the WebSocket: ${quoted(reason)}`, { reason }));
  });

  /** Called by `ws` alone, once the kernel has it; a browser's WebSocket has a copy, of which nothing is heard. */
  function sent(chunk: Uint8Array, error?: Error | null) {
    unsent ||= Boolean(error);
    giveBack(chunk);
  }

  /** Waits until there is room to send. A message that comes in is a reason to look, as timers are slow in hidden pages. */
  async function drain() {
    while (!over && socket.bufferedAmount > sendBuffer) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, DRAIN_INTERVAL);
        function done() {
          clearTimeout(timer);
          wake = undefined;
          resolve();
        }
        wake = done;
      });
    }
  }

  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      writer = controller;
      // abort() waits for the write in flight, which may wait for room. Not at once: see concurrent-layer.ts.
      controller.signal.addEventListener("abort", () =>
        queueMicrotask(() => close(controller.signal.reason)),
      );
    },
    async write(chunk) {
      checkBytes(chunk, "what is written to a WebSocket");
      if (socket.readyState === CONNECTING) await opened.promise;
      if (lost) throw lostError();
      if (over) throw new Ended("the WebSocket was closed");
      socket.send(chunk as never, ((error?: Error | null) => sent(chunk, error)) as never);
      if (socket.bufferedAmount > sendBuffer) await drain();
    },
    async close() {
      // What was sent is delivered before the close frame.
      if (lost && unsent) throw lostError();
      if (!over) hangUp(1000);
      await closed.promise.catch(() => {});
    },
    abort: (reason) => close(reason),
  });

  return { readable: incoming.readable, writable, closed: closed.promise, close };
}

/** The bytes of a message; undefined where it is text. */
function bytesIn(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (!(data instanceof Uint8Array)) return undefined;
  // A Buffer's methods are others, but what was lent is given back as the object that it is.
  return isLent(data) ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function told(cause: Error): WebSocketError {
  return new WebSocketError(messageOf(cause), { cause });
}

function lostError(): WebSocketError {
  return new WebSocketError("the connection was lost before everything was sent");
}

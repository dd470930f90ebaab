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
import { FAILED } from "./close-codes.ts";
import { closeReason, MAX_REASON } from "./close-reason.ts";

/** What a sender of text messages is told. */
export const TEXT_REFUSED =
  "the other side sent text, but NBD needs binary messages (websocketd: use --binary)";

/** The WebSocket failed, or the other side closed it as a failure. */
export class WebSocketError extends Error implements ForOthers {
  override name = "WebSocketError";
  /** The close code of the other side, if it closed the WebSocket. */
  readonly code: number | undefined;
  /** The reason that the other side gave, if any, as it came. */
  readonly reason: string | undefined;

  constructor(
    message: string,
    { code, reason, ...options }: ErrorOptions & { code?: number; reason?: string } = {},
  ) {
    super(message, options);
    this.code = code;
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
  /** What has failed. Browsers do not tell. */
  readonly error?: unknown;
}

/**
 * What is needed of a WebSocket, a browser's or one of the package `ws`. `never` is the only type that both declarations of
 * `send` and `addEventListener` match.
 */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  /** Only `ws` calls `done`, with an error if the data was not sent. */
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
  /** How many bytes may wait to be sent before a write waits. Default 4 MiB. */
  sendBuffer?: number;
  /** How many bytes may wait to be read before `ws` stops reading (for browsers see `receiveLimit`). Default 1 MiB. */
  receiveBuffer?: number;
  /** How many bytes may wait to be read before a WebSocket that cannot be paused, a browser's, is closed. Default 64 MiB. */
  receiveLimit?: number;
  /** The words for the other side about a reason to close. Default: the message of an error, else the reason as a string. */
  wordsFor?(reason: unknown): string;
  /**
   * The longest message that is sent, in bytes, at least 64; what is longer is sent in pieces. Relays may refuse long messages
   * (close code 1009). Default: no limit.
   */
  maxMessage?: number | undefined;
  /** What to do after the other side has refused a message as too long, in words. Default: "set maxMessage". */
  remedy?: string | undefined;
  /** Explains why the WebSocket could not be opened, or failed. Default: the error's message. Browsers do not tell why. */
  explain?(error: Error): WebSocketError;
}

const CONNECTING = 0;
export const OPEN = 1;
export const CLOSED = 3;
/** Milliseconds between two looks at `bufferedAmount`: no event reports that it has decreased. */
const DRAIN_INTERVAL = 4;
/** How many milliseconds the other side has to answer a close frame. */
const CLOSE_TIME = 1000;
/** The close code of a connection that ended without a close frame. */
const LOST = 1006;
/** Close codes that say no more than that the other side is gone: normal, going away, no code, no close frame. */
const GONE = new Set([1000, 1001, 1005, LOST]);
/** The close code of a side to which a message was too long. */
const TOO_LONG = 1009;
/** The least that a message counts while it waits to be read, in bytes: an object takes more than that. */
const LEAST = 64;

/**
 * A transport over a WebSocket, a browser's or one of the package `ws`. It may still be connecting. Each write is a binary
 * message, or several (`maxMessage`); message boundaries mean nothing.
 *
 * If the connection is lost, the readable ends in order: its reader judges whether bytes are missing. The writable fails at
 * the next write, or at the close if something was not sent.
 *
 * Lent bytes are given back once `ws` has sent them, on a Node socket only.
 *
 * A browser's WebSocket has no backpressure for what arrives. Bound that by what is asked for, and by `receiveLimit`.
 */
export function webSocket(socket: WebSocketLike, options: WebSocketTransportOptions = {}): Transport {
  const { sendBuffer = 0, receiveBuffer = 0, receiveLimit = 0, maxMessage } = options;
  checkWebSocket(socket, "the socket");
  checkAmount(sendBuffer, "sendBuffer, in bytes,");
  checkAmount(receiveBuffer, "receiveBuffer, in bytes,");
  checkAmount(receiveLimit, "receiveLimit, in bytes,");
  if (maxMessage !== undefined) checkMaxMessage(maxMessage);
  return transportOver(socket, options);
}

/** `webSocket` without checks, for what was checked before. */
export function transportOver(socket: WebSocketLike, options: WebSocketTransportOptions): Transport {
  const { sendBuffer = 1 << 22, receiveBuffer = 1 << 20, receiveLimit = 1 << 26 } = options;
  const { wordsFor = messageOf, explain = told, maxMessage = Number.POSITIVE_INFINITY } = options;
  const closed = deferred();
  const opened = deferred();
  let problem: WebSocketError | undefined;
  let over = false;
  let lost = false;
  let unsent = false;
  let longest = 0;
  let writer!: WritableStreamDefaultController;
  let wake: (() => void) | undefined;
  let callOff: (() => void) | undefined;

  // `ws` has Buffers. It would copy a Buffer of several messages to make ArrayBuffers of it.
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
    else
      hangUp((reason as { closeCode?: number } | null)?.closeCode ?? FAILED, closeReason(wordsFor(reason)));
  }

  /** Sends the close frame. `ws` ends the connection soon after, even if the other side does not answer. */
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
    // Empty messages would pile up in any number, since they have no bytes that count.
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
    else finish(new WebSocketError(closedBecause(code, reason), { code, ...(reason !== "" && { reason }) }));
  });

  function closedBecause(code: number, reason: string): string {
    if (code === TOO_LONG) {
      const length = longest > 0 ? ` of ${longest} bytes` : "";
      return `the other side refused a message${length} as too long; ${options.remedy ?? "set maxMessage"}`;
    }
    const why = reason === "" ? ` with code ${code}` : `: ${quoted(reason, MAX_REASON)}`;
    return `the other side closed the WebSocket${why}`;
  }

  /** Sends bytes in one message, or in several of at most `maxMessage`. They are given back after the last one. */
  function send(chunk: Uint8Array) {
    const last = chunk.byteLength - maxMessage;
    let at = 0;
    for (; at < last; at += maxMessage) sendMessage(chunk.subarray(at, at + maxMessage), noteUnsent);
    sendMessage(at === 0 ? chunk : chunk.subarray(at), (error) => {
      noteUnsent(error);
      giveBack(chunk);
    });
  }

  /** `done` is called by `ws` once the kernel has the bytes. A browser's WebSocket makes a copy, and reports nothing. */
  function sendMessage(bytes: Uint8Array, done: (error?: Error | null) => void) {
    longest = Math.max(longest, bytes.byteLength);
    socket.send(bytes as never, done as never);
  }

  function noteUnsent(error?: Error | null) {
    unsent ||= Boolean(error);
  }

  /** Waits until there is room to send. It also looks when a message comes in, since timers are slow in hidden pages. */
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
      // abort() waits for the write in flight, which may wait for room. In a microtask: see concurrent-layer.ts.
      controller.signal.addEventListener("abort", () =>
        queueMicrotask(() => close(controller.signal.reason)),
      );
    },
    async write(chunk) {
      checkBytes(chunk, "what is written to a WebSocket");
      if (socket.readyState === CONNECTING) await opened.promise;
      if (lost) throw lostError();
      if (over) throw new Ended("the WebSocket was closed");
      send(chunk);
      if (socket.bufferedAmount > sendBuffer) await drain();
    },
    async close() {
      // What was sent leaves before the close frame.
      if (lost && unsent) throw lostError();
      if (!over) hangUp(1000);
      await closed.promise.catch(() => {});
    },
    abort: (reason) => close(reason),
  });

  // Nothing would ever tell.
  if (socket.readyState === CLOSED) finish(new WebSocketError("the WebSocket is closed already"));
  return { readable: incoming.readable, writable, closed: closed.promise, close };
}

export function checkWebSocket(value: unknown, what: string, kind = "a WebSocket"): void {
  checkMethods(value, what, kind, ["send", "close", "addEventListener"]);
}

export function checkMaxMessage(value: unknown): void {
  checkAmount(value, "maxMessage, in bytes,", 64);
}

/** The bytes of a message; undefined if it is text. */
function bytesIn(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (!(data instanceof Uint8Array)) return undefined;
  // Not a Buffer, whose methods differ; but a lent object stays itself, since only that can be given back.
  return isLent(data) ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function told(cause: Error): WebSocketError {
  return new WebSocketError(messageOf(cause), { cause });
}

function lostError(): WebSocketError {
  return new WebSocketError("the connection was lost before everything was sent");
}

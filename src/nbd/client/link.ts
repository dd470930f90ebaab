import { Errno } from "../../export/error.ts";
import type { RequestWindow } from "../../export/request-window.ts";
import { ByteBudget, type Room } from "../../streams/budget.ts";
import { deadline } from "../../streams/deadline.ts";
import { deferred } from "../../streams/deferred.ts";
import type { Duplex, Transport } from "../../streams/duplex.ts";
import { Ended } from "../../streams/ended.ts";
import { parseInto } from "../../streams/parse.ts";
import { Command } from "../constants.ts";
import { LinkError } from "../error.ts";
import type { NbdReply, NbdRequest, Negotiated, ReplyContent } from "../transmission.ts";
import { linkGone, Outstanding } from "./outstanding.ts";
import { replyParsers } from "./reply-parser.ts";
import { type ReplyWeights, replyWeights } from "./reply-weight.ts";
import { encodeRequests } from "./request-encoder.ts";

/** Milliseconds that a server is given to answer what is outstanding and end the connection after NBD_CMD_DISC. */
const DISCONNECT_TIME = 500;

export interface LinkOptions {
  /** Bytes that may be outstanding, headers of the replies included. Requests beyond that wait. */
  window: RequestWindow;
  /** Milliseconds without an answer after which the link counts as lost; 0: never. */
  timeout: number;
}

/** The transmission phase with one server: sends requests, and gives each its reply. It ends once, and stays ended. */
export class Link {
  /**
   * Resolves when the link has ended in order: between two replies with nothing outstanding, or by `close()`.
   * Rejects with LinkError, ProtocolError or the transport's error in every other case. It is safe to ignore.
   */
  readonly closed: Promise<void>;

  readonly #transport: Transport;
  readonly #outstanding: Outstanding;
  readonly #room: Room;
  readonly #weights: ReplyWeights;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encode: ReturnType<typeof encodeRequests>;
  readonly #end = deferred();
  #batch: NbdRequest[] = [];
  #cookie = 0n;
  /** Nothing is sent any more, and why. */
  #over: { cause: unknown } | undefined;
  /** The server has said that it shuts down. */
  #shutdown: LinkError | undefined;

  /**
   * @param rest the channel from the first byte after the handshake
   * @param transport the transport below it, which the link closes when it ends
   */
  constructor(
    rest: Duplex<Uint8Array>,
    transport: Transport,
    negotiated: Negotiated,
    { window, timeout }: LinkOptions,
  ) {
    this.closed = this.#end.promise;
    this.#transport = transport;
    this.#room = new ByteBudget(window.outstanding).share(window.outstanding);
    this.#weights = replyWeights(negotiated, window.request);
    this.#outstanding = new Outstanding({
      timeout,
      onTimeout: (error) => this.#fail(error),
      release: (weight) => this.#room.release(weight),
    });
    this.#encode = encodeRequests(negotiated);
    this.#writer = rest.writable.getWriter();
    this.#writer.closed.catch((error) => this.#failToSend(error));
    const replies = replyParsers(this.#outstanding.requestOf, negotiated);
    rest.readable.pipeTo(parseInto(replies, (reply) => this.#settle(reply), { name: "reply" })).then(
      () => this.#ended(),
      // A transport that was closed and has not failed has ended too.
      (error) => (error instanceof Ended ? this.#ended() : this.#fail(error)),
    );
  }

  /** How many requests have been sent. */
  get requests(): bigint {
    return this.#cookie;
  }

  /** How many of them have no answer yet. */
  get unanswered(): number {
    return this.#outstanding.count;
  }

  /** Bytes of the longest range that a BLOCK_STATUS may ask about so that its answer is within the window, whoever answers. */
  get inquiry(): number {
    return this.#weights.inquiry;
  }

  /**
   * Sends a request once there is room for it. The promise gives what the reply carries.
   *
   * It rejects with ExportError when the server answers with an error (the server's errno) and when the link is gone (EIO),
   * and with the signal's reason when that is aborted before the request is sent: NBD cannot take a request back.
   *
   * Neither this nor what a READ passes through is an async function: each promise more costs random reads several percent
   * (test/bench/README.md).
   *
   * @param type a `Command`
   * @param flags `CommandFlag`s
   * @param payload the data of a WRITE, which belongs to the link from then on
   */
  send(
    type: number,
    flags: number,
    offset: number,
    length: number,
    signal?: AbortSignal,
    payload?: Uint8Array,
  ): Promise<ReplyContent> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const request: NbdRequest = { type, flags, cookie: 0n, offset, length };
    const weight = this.#weights.of(request);
    if (payload) request.payload = payload;
    const wait = this.#room.acquire(weight);
    return wait
      ? wait.then(() => this.#sendNow(request, weight, signal))
      : this.#sendNow(request, weight, signal);
  }

  /**
   * Ends the link in order: waits for what is outstanding, sends NBD_CMD_DISC, and waits for the server's end. All of that
   * takes half a second at most. It never rejects.
   * @param cause what requests that come later fail with
   */
  async close(cause: LinkError = new LinkError("it was closed")): Promise<void> {
    const callOff = deadline(DISCONNECT_TIME, () => this.#transport.close());
    if (!this.#over) {
      this.#over = { cause };
      await this.#outstanding.idle();
      this.#post({ type: Command.DISC, flags: 0, cookie: 0n, offset: 0, length: 0 });
      this.#flushBatch();
      this.#writer.close().catch(() => {});
    }
    await this.#end.promise.catch(() => {});
    callOff();
  }

  /** Sends a request that room has been taken for. */
  #sendNow(request: NbdRequest, weight: number, signal: AbortSignal | undefined): Promise<ReplyContent> {
    if (signal?.aborted || this.#over) {
      this.#room.release(weight);
      return Promise.reject(signal?.aborted ? signal.reason : linkGone(this.#over!.cause));
    }
    request.cookie = this.#cookie++;
    const answer = this.#outstanding.add(request, weight);
    this.#post(request);
    return answer;
  }

  /** Sends a request together with the others of this turn of the event loop. */
  #post(request: NbdRequest) {
    this.#batch.push(request);
    if (this.#batch.length > 1) return;
    queueMicrotask(() => this.#flushBatch());
  }

  #flushBatch() {
    const batch = this.#batch;
    this.#batch = [];
    // The end of the link tells that a write has failed.
    if (batch.length > 0) this.#encode(batch, (chunk) => this.#writer.write(chunk).catch(() => {}));
  }

  #settle(reply: NbdReply) {
    this.#outstanding.settle(reply);
    if (reply.error === Errno.ESHUTDOWN) this.#shutDown();
  }

  /** A client should leave such a server in order (proto.md, "Error values"): what else it answers still counts. */
  #shutDown() {
    if (this.#over) return;
    this.#shutdown = new LinkError("the server is shutting down");
    void this.close(this.#shutdown);
  }

  #failToSend(error: unknown) {
    // A transport that has ended in order says so on its readable, where the replies before the end still are.
    if (!(error instanceof Ended)) this.#fail(error);
  }

  #ended() {
    const { count } = this.#outstanding;
    if (count > 0) {
      this.#fail(new LinkError(`the server ended the connection with ${count} requests unanswered`));
      return;
    }
    if (this.#shutdown) {
      this.#fail(this.#shutdown);
      return;
    }
    this.#over ??= { cause: new LinkError("the server ended the connection") };
    this.#end.resolve();
    this.#transport.close();
  }

  #fail(cause: unknown) {
    this.#over ??= { cause };
    this.#outstanding.fail(cause);
    this.#end.reject(cause);
    this.#transport.close(cause);
  }
}

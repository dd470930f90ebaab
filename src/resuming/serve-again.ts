import type { Export } from "../export/export.ts";
import { sampled } from "../export/samples.ts";
import type { Introduction } from "../nbd/introduction.ts";
import { proofOf } from "../nbd/proof.ts";
import { introducing } from "../nbd/server/introducing.ts";
import { isWord, newWord } from "../nbd/word.ts";
import type { ServeOptions } from "../serve.ts";
import { deferred } from "../streams/deferred.ts";
import type { Transport } from "../streams/duplex.ts";
import { messageOf } from "../streams/message-of.ts";
import { unlessAborted } from "../streams/unless-aborted.ts";
import { SILENT } from "../transport/close-codes.ts";
import type { WebSocketLike } from "../transport/websocket.ts";
import { Backoff } from "./backoff.ts";
import { type Clock, computerClock } from "./clock.ts";
import { fenced } from "./fence.ts";
import { isFinal, isLostWith } from "./is-final.ts";
import { pause } from "./pause.ts";
import { keysInMemory, type ResumeKeys } from "./resume-keys.ts";
import { watchSilence } from "./silence.ts";
import { onWake } from "./wakes.ts";

/** A WebSocket to the other side, perhaps still connecting, and the transport over it. */
export interface ServedLink {
  socket: Pick<WebSocketLike, "addEventListener" | "bufferedAmount">;
  transport: Transport;
}

/** What a server tells a gateway of the medium each time, besides samples of it. */
export type Identity = Pick<Introduction, "name" | "modified" | "changed">;

export interface ServeAgainOptions {
  /** Connects; `isAgain`: a link was lost. */
  connect(signal: AbortSignal, isAgain: boolean): ServedLink | Promise<ServedLink>;
  /** `serve`, given so that a page's script has it once. */
  serve(transport: Transport, target: Export, options: ServeOptions): Promise<void>;
  serveOptions: Omit<ServeOptions, "signal" | "introduction">;
  /** Seconds for which a lost link is tried to be had again. */
  retry: number;
  /** Ends it in order. */
  signal: AbortSignal;
  /** What is sampled: the medium as it is now, past all caches. */
  medium: Pick<Export, "size" | "read">;
  /** Looks at the medium. An error means that it cannot be read for the time being. */
  identity(): Identity | Promise<Identity>;
  /** Where the gateway's key is kept. Default: in memory. */
  keys?: ResumeKeys | undefined;
  /** Called when a link was lost, and after each attempt that failed, with words about what happens next. */
  onReconnecting(line: string): void;
  clock?: Clock | undefined;
  onWake?: typeof onWake;
}

/** Milliseconds for which a gateway may be silent that has promised to ask, and one that has still to agree on what is served. */
const SILENCE = 15_000;
const HANDSHAKE_SILENCE = 30_000;

/** Milliseconds in which what had come before a connection was lost is looked at: it may be a goodbye. */
const GRACE = 1000;

const WITHOUT_A_WORD = "the connection ended without a word";

/** Milliseconds that another attempt has until something comes. A network that is back does not tell the attempts made before. */
const ATTEMPT_TIME = 10_000;

/**
 * Serves an export over one link after another, until the other side ends in order, or `signal` is aborted. A link that was
 * lost is replaced for `retry` seconds, once a first request has come: an address that was wrong from the beginning fails at
 * once. Each link is fenced off before the next one is made. A gateway that asks is told what the medium is, and who serves
 * it. The export is not closed.
 *
 * @throws the error of a first link on which nothing was asked for; of a refusal, or a takeover, at any time
 * @throws Error in words when the time is over
 */
export async function serveAgain(target: Export, options: ServeAgainOptions): Promise<void> {
  const serving = new Serving(target, options);
  await serving.run();
  await serving.forget();
}

/** The end of a link that was lost. */
interface Lost {
  error: unknown;
}

/** How far a link has come. */
interface Stage {
  /** Nothing was asked for on a link before. */
  isFirst: boolean;
  /** Something has come. */
  hasHeard: boolean;
  /** The handshake is over. */
  isChosen: boolean;
}

class Serving {
  readonly #target: Export;
  readonly #options: ServeAgainOptions;
  readonly #clock: Clock;
  readonly #onWake: typeof onWake;
  readonly #keys: ResumeKeys;
  readonly #incarnation = newWord();
  readonly #backoff: Backoff;
  /** The key of the session. */
  #key: string | undefined;
  /** Whether a request has ever come. */
  #isUsed = false;
  /** Seconds for which the gateway waits for a lost link. If it does, it has promised to ask for something when all is quiet. */
  #wait = 0;

  constructor(target: Export, options: ServeAgainOptions) {
    this.#target = target;
    this.#options = options;
    this.#clock = options.clock ?? computerClock();
    this.#onWake = options.onWake ?? onWake;
    this.#keys = options.keys ?? keysInMemory();
    this.#backoff = new Backoff(() => this.#clock.random());
  }

  async run(): Promise<void> {
    const { signal, retry, onReconnecting } = this.#options;
    let lostAt: number | undefined;
    for (;;) {
      const fence = fenced(this.#target);
      let isUsed = false;
      const lost = await this.#overLink(fence.target, () => {
        isUsed = true;
      }).finally(() => void fence.end());
      if (!lost) return;

      const now = this.#clock.now();
      if (isUsed) {
        this.#backoff.succeeded();
        lostAt = undefined;
      }
      if (lostAt === undefined)
        onReconnecting(`the link was lost, trying for ${retry} s: ${messageOf(lost.error)}`);
      lostAt ??= now;
      const left = lostAt + 1000 * retry - now;
      if (left <= 0) throw givenUp(retry, lost.error);
      await this.#fencedOff(fence.end(), left);
      const wait = Math.min(this.#backoff.next(), left);
      if (!isUsed) onReconnecting(`trying again in ${(wait / 1000).toFixed(1)} s: ${messageOf(lost.error)}`);
      await this.#pause(wait);
      if (signal.aborted) return;
    }
  }

  /** Forgets the key after an end in order, unless somebody else has put one in its place. */
  async forget(): Promise<void> {
    if (this.#key !== undefined && (await this.#keys.get()) === this.#key) await this.#keys.set(undefined);
  }

  /**
   * Serves over one link.
   * @returns how it was lost; undefined if it ended in order
   * @throws the error that ends everything
   */
  async #overLink(target: Export, onUsed: () => void): Promise<Lost | undefined> {
    const { connect, serve, serveOptions, signal } = this.#options;
    if (signal.aborted) return undefined;
    this.#wait = 0;
    let code: number | undefined;
    let hasLeft = false;
    let isChosen = false;
    let isSilent = false;
    let hasHeard = false;
    let unwatch = () => {};
    let callOffWait = () => {};
    const isFirst = !this.#isUsed;
    const connecting = new AbortController();
    const giveUp = () => connecting.abort(signal.reason);
    signal.addEventListener("abort", giveUp);
    const callOff = isFirst
      ? () => {}
      : this.#clock.after(ATTEMPT_TIME, () => {
          isSilent = true;
          connecting.abort(new SilentError());
        });
    try {
      const { socket, transport } = await connect(connecting.signal, this.#isUsed);
      callOff();
      const gone = deferred<never>();
      const onClose = (event: { code?: number }) => {
        code = event.code;
        if (!isLostWith(code)) return;
        // What is under way may take for ever, and nobody hears its answer any more.
        callOffWait = this.#clock.after(GRACE, () => {
          if (this.#isUsed && !hasLeft) gone.reject(new Error(WITHOUT_A_WORD));
        });
      };
      socket.addEventListener("close" as never, onClose as never);
      const onMessage = () => {
        hasHeard = true;
      };
      socket.addEventListener("message" as never, onMessage as never);
      unwatch = watchSilence(socket, {
        clock: this.#clock,
        onWake: this.#onWake,
        limit: () => this.#patience({ isFirst, hasHeard, isChosen }),
        onSilent() {
          isSilent = true;
          transport.close(new SilentError());
        },
      });
      const served = serve(transport, target, {
        ...serveOptions,
        signal,
        introduction: this.#introduction(),
        onTransmission(negotiated) {
          isChosen = true;
          serveOptions.onTransmission?.(negotiated);
        },
        onFirstRequest: () => {
          this.#isUsed = true;
          onUsed();
        },
        onDisconnect() {
          hasLeft = true;
          serveOptions.onDisconnect?.();
        },
      });
      await Promise.race([served, gone.promise]);
      if (signal.aborted || hasLeft || !isChosen || !isLostWith(code)) return undefined;
      return { error: new Error(WITHOUT_A_WORD) };
    } catch (error) {
      if (signal.aborted) return undefined;
      const isLost =
        isSilent ||
        error instanceof UnreadableError ||
        (code !== undefined && isLostWith(code)) ||
        !isFinal(error);
      if (!isLost || !this.#isUsed || hasLeft) throw error;
      return { error };
    } finally {
      callOff();
      signal.removeEventListener("abort", giveUp);
      unwatch();
      callOffWait();
    }
  }

  /** Milliseconds for which the other side may be silent now; undefined: for ever. */
  #patience({ isFirst, hasHeard, isChosen }: Stage): number | undefined {
    if (isChosen) return this.#wait > 0 ? SILENCE : undefined;
    if (isFirst) return undefined;
    return hasHeard ? HANDSHAKE_SILENCE : ATTEMPT_TIME;
  }

  async #look(): Promise<Identity> {
    try {
      return await this.#options.identity();
    } catch (error) {
      throw new UnreadableError(messageOf(error), { cause: error });
    }
  }

  /** What is said to a gateway that introduces itself. */
  #introduction() {
    return introducing({
      answer: async ({ challenge, nonce, wait }) => {
        this.#wait = wait;
        const kept = await this.#keys.get();
        this.#key = isWord(kept) ? kept : undefined;
        const [identity, samples] = await Promise.all([this.#look(), sampled(this.#options.medium, nonce)]);
        return {
          ...identity,
          size: this.#options.medium.size,
          samples,
          incarnation: this.#incarnation,
          proof: this.#key === undefined ? undefined : proofOf(this.#key, challenge),
        };
      },
      keep: (key) => {
        this.#key = key;
        return this.#keys.set(key, this.#wait);
      },
    });
  }

  /** Waits until no change of the last link is under way. */
  async #fencedOff(fencedOff: Promise<void>, milliseconds: number): Promise<void> {
    const { signal, retry } = this.#options;
    const late = new AbortController();
    const giveUp = () =>
      late.abort(givenUp(retry, new Error("what was written over the lost link has not ended")));
    const callOff = this.#clock.after(milliseconds, giveUp);
    signal.addEventListener("abort", giveUp);
    try {
      await unlessAborted(fencedOff, late.signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      callOff();
      signal.removeEventListener("abort", giveUp);
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return pause(milliseconds, { clock: this.#clock, onWake: this.#onWake, signal: this.#options.signal });
  }
}

/** The medium cannot be read for the time being. */
class UnreadableError extends Error {
  override name = "UnreadableError";
}

/** The other side has promised to ask for something every few seconds, and does not. */
class SilentError extends Error {
  override name = "SilentError";
  readonly closeCode = SILENT;
  readonly forOthers = "the link is silent";
  constructor() {
    super("nothing came any more");
  }
}

function givenUp(seconds: number, cause: unknown): Error {
  return new Error(`given up ${seconds} s after the link was lost: ${messageOf(cause)}`, { cause });
}

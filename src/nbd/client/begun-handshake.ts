import type { RequestWindow } from "../../export/request-window.ts";
import {
  checkAmount,
  checkObject,
  checkOwnTransport,
  checkSignal,
  checkWhole,
  LONGEST_TIMER,
} from "../../streams/check.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import type { Duplex, Transport } from "../../streams/duplex.ts";
import { type Dialogue, negotiate } from "../../streams/negotiate.ts";
import {
  type Introduction,
  introduceQuery,
  keyQuery,
  LONGEST_WAIT,
  NAMESPACE,
  readIntroducedContext,
} from "../introduction.ts";
import { sendAbort } from "../option/abort.ts";
import { askForContext } from "../option/meta-context.ts";
import { checkName } from "../option/name.ts";
import { proves } from "../proof.ts";
import type { Negotiated } from "../transmission.ts";
import { checkWord, newWord } from "../word.ts";
import { agreeOnHeaders, answerGreeting, chooseExport, takeGreeting } from "./handshake.ts";
import { HandshakeClock, type HandshakeTimes } from "./handshake-times.ts";
import { checkWindow } from "./link-window.ts";
import { type RemoteExport, remoteExport } from "./remote-export.ts";

/** The longest time that can be waited for, in seconds. */
const LONGEST = LONGEST_TIMER / 1000;

export interface BeginHandshakeOptions {
  /** The export to ask for. Default "", the server's default one. */
  name?: string;
  /** Seconds without an answer after which a request has failed, at most 2,147,483; 0: never. Default 0. */
  timeout?: number;
  /** Default: `timeout` for the greeting and for each reply, and twice as much for the whole. */
  handshakeTimes?: HandshakeTimes;
  /** Gives this part of the handshake up. */
  signal?: AbortSignal;
  /** To introduce this side, and ask the server for its introduction: the gateway's nonce, and the seconds that it waits. */
  introduce?: { nonce: string; wait: number };
}

export interface FinishHandshakeOptions {
  /** A word that the server is to keep, if it has introduced itself. */
  key?: string;
  /**
   * What the server is asked for at most, in bytes; see `RemoteExport`. Default: 4 MiB outstanding, in requests of 256 KiB. A
   * promise is waited for when the export was chosen.
   */
  window?: Partial<RequestWindow> | Promise<Partial<RequestWindow>>;
  /** Gives the rest of the handshake up. */
  signal?: AbortSignal;
}

/**
 * A handshake that was begun, and waits. Either `finish` or `refuse` ends it. Until then the server waits for us, and its times
 * for the handshake do not run.
 */
export interface BegunHandshake {
  readonly transport: Transport;
  /** Undefined when it was not asked for, and when the server has none. */
  readonly introduction: Introduction | undefined;
  /** Whether the server proved in its introduction that it keeps this key. */
  provesKey(key: string): boolean;
  /**
   * Chooses the export. The transport belongs to the export from then on; it is closed when the export is, or when this fails.
   * @throws RefusedError when the server refuses the export
   * @throws LinkError when the server does not answer in time
   * @throws ProtocolError, UnexpectedEndError when what it says is not NBD
   */
  finish(options?: FinishHandshakeOptions): Promise<RemoteExport & AsyncDisposable>;
  /** Leaves the server, and closes the transport with the reason. */
  refuse(reason: unknown): void;
}

/**
 * Begins a handshake over a transport. It stops when the server has greeted, before anything was said to the server; with
 * `introduce`, when both have introduced themselves. A server that does not know introductions is as good as any. The
 * transport is closed when this fails.
 *
 * @throws TypeError, RangeError when an argument is not what it should be; what was passed in place of a transport is ended
 * @throws LinkError when the server does not answer in time
 * @throws ProtocolError, UnexpectedEndError when what it says is not NBD
 */
export async function beginHandshake(
  transport: Transport,
  options: BeginHandshakeOptions = {},
): Promise<BegunHandshake> {
  checkOwnTransport(transport, "the transport");
  try {
    checkOptions(options);
  } catch (error) {
    transport.close(error);
    throw error;
  }
  const handshake = new Handshake(transport, options);
  await handshake.begin(options);
  return handshake;
}

class Handshake implements BegunHandshake {
  readonly transport: Transport;
  introduction: Introduction | undefined;
  readonly #name: string;
  readonly #timeout: number;
  readonly #clock: HandshakeClock;
  readonly #challenge = newWord();
  /** The channel from the first byte that was not taken yet. */
  #rest: Duplex<Uint8Array>;
  /** The handshake flags that the server has, and the part of them that it was answered with. */
  #offered = 0;
  #flags: number | undefined;
  #headers: Negotiated["headers"];

  constructor(transport: Transport, { name = "", timeout = 0, handshakeTimes }: BeginHandshakeOptions) {
    this.transport = transport;
    this.#rest = transport;
    this.#name = name;
    this.#timeout = timeout;
    const whole = Math.min(2 * timeout, LONGEST);
    const times = handshakeTimes ?? { greeting: timeout, reply: timeout, whole };
    this.#clock = new HandshakeClock(times, (error) => transport.close(error));
  }

  begin({ introduce, signal }: BeginHandshakeOptions): Promise<void> {
    return this.#part(signal, async (dialogue) => {
      this.#offered = await takeGreeting(dialogue);
      if (!introduce) return;
      await this.#answer(dialogue);
      if (this.#headers) await this.#introduce(dialogue, introduce);
    });
  }

  provesKey(key: string): boolean {
    checkWord(key, "the key");
    return proves(this.introduction?.proof, key, this.#challenge);
  }

  async finish({
    key,
    window,
    signal,
  }: FinishHandshakeOptions = {}): Promise<RemoteExport & AsyncDisposable> {
    try {
      if (key !== undefined) checkWord(key, "the key");
      if (window instanceof Promise) window.catch(() => {});
      else checkWindow(window);
      checkSignal(signal, "signal");
    } catch (error) {
      this.refuse(error);
      throw error;
    }
    this.#clock.goOn();
    const { chosen, wanted } = await this.#part(signal, async (dialogue) => {
      if (this.#flags === undefined) await this.#answer(dialogue);
      if (key !== undefined && this.introduction) {
        await askForContext(dialogue, this.#name, keyQuery(key), NAMESPACE);
      }
      const chosen = await chooseExport(dialogue, this.#name, this.#flags!, this.#headers);
      const wanted = await window;
      checkWindow(wanted);
      return { chosen, wanted };
    });
    return disposable(remoteExport(chosen, this.#rest, this.transport, this.#timeout * 1000, wanted));
  }

  refuse(reason: unknown): void {
    // A client must not leave without a word (proto.md, "Termination of the session during option haggling").
    const left = negotiate(this.#rest, async (dialogue) => {
      if (this.#flags !== undefined) await sendAbort(dialogue);
      throw reason;
    });
    left.catch(() => this.transport.close(reason));
  }

  /** Answers the greeting, and agrees on the headers. */
  async #answer(dialogue: Dialogue): Promise<void> {
    this.#flags = await answerGreeting(dialogue, this.#offered);
    this.#headers = await agreeOnHeaders(dialogue, this.#flags);
  }

  async #introduce(dialogue: Dialogue, { nonce, wait }: { nonce: string; wait: number }): Promise<void> {
    const query = introduceQuery({ challenge: this.#challenge, nonce, wait });
    const context = await askForContext(dialogue, this.#name, query, NAMESPACE);
    if (context !== undefined) this.introduction = readIntroducedContext(context);
  }

  /** Does a part of the handshake, in its time. It is given up when the signal is aborted. */
  async #part<T>(signal: AbortSignal | undefined, part: (dialogue: Dialogue) => Promise<T>): Promise<T> {
    const giveUp = () => this.transport.close(signal?.reason);
    signal?.addEventListener("abort", giveUp);
    try {
      signal?.throwIfAborted();
      const { result, rest } = await negotiate(this.#rest, (dialogue) => part(this.#clock.over(dialogue)));
      this.#rest = rest;
      return result;
    } catch (error) {
      this.transport.close(error);
      throw error;
    } finally {
      this.#clock.pause();
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

function checkOptions({ name = "", timeout = 0, handshakeTimes, introduce, signal }: BeginHandshakeOptions) {
  checkName(name, "the name of the export");
  checkAmount(timeout, "timeout, in seconds,", 0, LONGEST);
  for (const [name, time] of Object.entries(handshakeTimes ?? {})) {
    checkAmount(time, `handshakeTimes.${name}, in seconds,`, 0, LONGEST);
  }
  if (introduce !== undefined) {
    checkObject(introduce, "introduce");
    checkWord(introduce.nonce, "introduce.nonce");
    checkWhole(introduce.wait, "introduce.wait, in seconds,", 0, LONGEST_WAIT);
  }
  checkSignal(signal, "signal");
}

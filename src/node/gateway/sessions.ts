import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { UnflushedMemory } from "../../export/resume/unflushed-memory.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import type { Transport } from "../../streams/duplex.ts";
import { Ended } from "../../streams/ended.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import { messageOf } from "../../streams/message-of.ts";
import { quoted } from "../../streams/quoted.ts";
import { type Config, ConfigError, type Configuration } from "../config/config.ts";
import type { LogLevel } from "../log/log.ts";
import { withoutCredentials } from "../login/credentials.ts";
import { LossError } from "../session/last-writes.ts";
import { beginLink } from "../session/linked-export.ts";
import type { BegunLink, Connection } from "../session/links.ts";
import { places as placesOfThisMachine } from "../session/places.ts";
import { type SessionOptions, session } from "../session/session.ts";
import { SessionOverError } from "../session/session-over-error.ts";
import type { Session } from "../session/session-state.ts";
import { StateHookError } from "../session/state-hook.ts";
import { AnotherMediumError } from "../session/succession.ts";
import { summaryOf } from "../session/summary.ts";
import { EjectedError } from "./ejected-error.ts";
import { Exclusive, type HolderOptions } from "./exclusive.ts";
import type { LimitedLog } from "./limited-log.ts";
import { LinkSupply } from "./link-supply.ts";
import { Newcomer, type Visitor } from "./newcomer.ts";
import { inUse } from "./occupant.ts";
import type { Board } from "./status/board.ts";
import { TakenOverError, type TakeOver } from "./take-over.ts";

export interface SessionsOptions {
  config: Config;
  /** Bytes in flight for the local clients of all sessions. */
  budget: ByteBudget;
  /** Where the caches of all sessions count. */
  memory: MemoryBudget;
  /** Where what was written and not flushed is kept, for all sessions. */
  unflushed: UnflushedMemory;
  /** Milliseconds between pings of an idle WebSocket. */
  pingInterval: number;
  /** Whether newcomers are told who has a configuration that is in use. That is for those who have logged in. */
  tellsWho: boolean;
  /** Asks for an orderly end of all sessions. */
  signal: AbortSignal;
  log: LimitedLog;
  /** Where it is told what each configuration is at. */
  board: Board;
}

/** Milliseconds that the other side of a session has to answer when a newcomer wants its place. */
const ANSWER_TIME = 5000;

/** Bytes of the id of a session. */
const ID = 4;

/** Bytes of the nonce with which servers make their samples. */
const NONCE = 16;

/** A session that has its place, and what asks for its orderly end. */
interface Attached {
  /** What it began with, whatever the file says by now. */
  readonly configuration: Configuration;
  /** The path that its first link came to. */
  readonly path: string;
  readonly running: Session;
  readonly ending: AbortController;
}

/** Who wants a place, and how the session begins that is to have it. */
export interface Beginning {
  readonly visitor: Visitor;
  readonly since: Date;
  /** Asks for the end of this session alone. */
  readonly ending: AbortController;
  /** Nobody wants the place any more when it is closed. */
  readonly link: Pick<Transport, "closed">;
  /** Of the other side; "" where there is none. */
  readonly address: string;
  /** What is fetched from here, without secrets. */
  readonly source?: string;
  /** Who has the place now, in the words for newcomers, and for how many milliseconds nothing has come. */
  other(running: Session): Pick<Connection, "address" | "silence">;
  begin(options: SessionOptions): Session;
  /** What it does for newcomers. */
  holding(running: Session): HolderOptions<BegunLink>;
}

/** The sessions of a gateway, one at a time for each configuration. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #nonce = randomBytes(NONCE).toString("base64url");
  readonly #pending = new Set<Promise<void>>();
  readonly #exclusive = new Exclusive<BegunLink>();
  /** By the names of their configurations. */
  readonly #attached = new Map<string, Attached>();
  #failedAtEnd = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Runs a session over a WebSocket, for the configuration that the visitor names; or gives it to the one that waits for it. */
  start(client: WebSocket, socket: Socket, visitor: Visitor): void {
    this.#follow(this.#receive(client, socket, visitor), () => client.terminate());
  }

  /**
   * Runs a session that begins otherwise.
   * @throws what it has failed with, once that was told
   */
  run(configuration: Configuration, beginning: Beginning): Promise<void> {
    const running = this.#run(configuration, beginning);
    this.#follow(
      running.catch(() => {}),
      () => {},
    );
    return running;
  }

  /** Another configuration holds from now on: what was found out for the one before does not count. */
  renewed(): void {
    this.#exclusive.forgetLooks();
  }

  /**
   * Ends the session of a configuration in order, and waits for its end.
   * @returns false if there is none
   * @throws what has failed at its end: something that was written is lost though there was a link, or the state hook has failed
   */
  async eject(name: string): Promise<boolean> {
    const attached = this.#attached.get(name);
    if (!attached) return false;
    // Whoever gives up a disk whose link is lost gives up what was not written.
    const isGivenUp = attached.running.state === "waiting";
    attached.ending.abort(new EjectedError());
    await attached.running.ended.catch((error: unknown) => {
      if (!isInOrder(error) && !(isGivenUp && error instanceof LossError)) throw error;
    });
    return true;
  }

  /** Resolves when no session runs any more, with the number of those that lost something in their orderly end. */
  async over(): Promise<number> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    return this.#failedAtEnd;
  }

  #follow(work: Promise<void>, giveUp: () => void): void {
    const pending = work
      .catch((error: unknown) => {
        this.#options.log.stranger(`a session could not begin: ${messageOf(error)}`, { level: "error" });
        giveUp();
      })
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  async #receive(client: WebSocket, socket: Socket, visitor: Visitor): Promise<void> {
    const { config, pingInterval, signal, log } = this.#options;
    const newcomer = new Newcomer(client, socket, visitor, pingInterval);
    const { transport } = newcomer;
    let name: string | undefined;
    try {
      const [goingOn] = this.#goingOn(visitor.path);
      const configuration = goingOn ?? configurationAt(config, visitor.path);
      name = configuration.name;
      if (configuration.resume === 0) return await this.#attach(newcomer, transport, configuration);
      if (!goingOn) await this.#look(configuration, visitor);
      const { timeout } = configuration;
      const introduce = { nonce: this.#nonce, wait: Math.ceil(configuration.resume) };
      const handshake = await beginLink(transport, { timeout, introduce, signal });
      if (!handshake) return;
      let asked = configuration;
      const link = newcomer.link(handshake, (link, reason) => {
        // What is refused by the session that it could go on with may still end that session.
        if (!visitor.takesOver || !(reason instanceof AnotherMediumError)) return false;
        const next = config.configurations.get(asked.name);
        if (!next) return false;
        this.#follow(this.#attach(newcomer, link, next), () => client.terminate());
        return true;
      });
      // Others may have come and gone during the handshake.
      for (asked of this.#goingOn(visitor.path)) {
        if (this.#exclusive.handOver(asked.name, link)) return;
      }
      const named = configurationAt(config, visitor.path);
      name = named.name;
      await this.#attach(newcomer, link, named);
    } catch (error) {
      log.stranger(messageOf(error), name === undefined ? {} : { configuration: name });
      if (name !== undefined && error instanceof ConfigError) this.#options.board.end(name, undefined, error);
      transport.close(error);
    }
  }

  /**
   * What the sessions began with that take new links, and that a path may mean: by its name, or as the default one, now or at
   * their beginning. Which of them a link belongs to is known when it has proved a key.
   */
  #goingOn(path: string): Configuration[] {
    const name = nameIn(path);
    const { defaultName } = this.#options.config;
    const isMeant = (one: Attached) =>
      one.configuration.name === (name ?? defaultName) ||
      (name === undefined && nameIn(one.path) === undefined);
    return [...this.#attached.values()]
      .filter((one) => isMeant(one) && this.#exclusive.takesLinks(one.configuration.name))
      .map(({ configuration }) => configuration);
  }

  /** Runs a session from its first link to its end. */
  async #attach(
    newcomer: Newcomer,
    first: Transport | BegunLink,
    configuration: Configuration,
  ): Promise<void> {
    const { visitor, since, transport, connection } = newcomer;
    const ending = new AbortController();
    const supply = new LinkSupply(first);
    try {
      await this.#run(configuration, {
        visitor,
        since,
        ending,
        link: transport,
        address: visitor.address,
        other: (running) => running.connection ?? connection,
        begin: (options) =>
          session(supply.links, configuration, {
            ...options,
            resume: { key: supply.key, nonce: this.#nonce, unflushed: this.#options.unflushed },
          }),
        holding: (running) => this.#holding(configuration, newcomer, first, supply, running),
      });
    } catch (error) {
      transport.close(error);
    } finally {
      // Who wanted the end does not want another session to begin by itself.
      supply.end(ending.signal.aborted ? new Ended("the session was ended") : new SessionOverError());
    }
  }

  /**
   * Runs a session to its end, and tells of it.
   * @throws what it has failed with, once that was told
   */
  async #run(configuration: Configuration, beginning: Beginning): Promise<void> {
    const { budget, memory, signal, log, board } = this.#options;
    const { visitor, since, ending, link, address, source, other, begin, holding } = beginning;
    const { name } = configuration;
    const end = () => ending.abort(signal.reason);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    /** Anybody can connect, so before a session has its place its lines count as those of strangers. */
    let note = (line: string, level: LogLevel = "info") =>
      log.stranger(line, { level, configuration: name, session: id });
    const id = randomBytes(ID).toString("hex");
    const began = performance.now();
    let held: Session | undefined;
    try {
      const running = begin({
        budget,
        memory,
        log: (line, level) => note(line, level),
        signal: ending.signal,
        places: {
          look: () => this.#look(configuration, visitor),
          claim: async () => {
            const place = await this.#exclusive.claim(
              name,
              link,
              () => placesOfThisMachine.claim(configuration),
              {
                takeOver: takeOverOf(configuration, visitor),
                end: (reason) => ending.abort(reason),
                ...(this.#options.tellsWho && {
                  describe: () => {
                    const isLost = running.state === "waiting";
                    const { address, silence } = other(running);
                    return inUse({ since, name: running.exported?.name ?? "", address, silence, isLost });
                  },
                }),
                ...holding(running),
              },
            );
            note = (line, level = "info") => log.session(name, line, { level, session: id });
            this.#attached.set(name, { configuration, path: visitor.path, running, ending });
            board.begin({ id, configuration, since, address, source, running });
            held = running;
            return place;
          },
        },
      });
      await running.ended.finally(() => {
        if (this.#attached.get(name)?.running === running) this.#attached.delete(name);
      });
      note(summaryOf(running, performance.now() - began, howEnded(ending.signal)));
      if (held) board.end(name, held);
    } catch (error) {
      if (signal.aborted && !isInOrder(error)) this.#failedAtEnd++;
      // Who could not begin is refused; that the place is not there is a fault of this machine.
      const isFault = held !== undefined || error instanceof ConfigError;
      note(messageOf(error), isFault ? "error" : "warning");
      if (held?.wasAttached) note(summaryOf(held, performance.now() - began, howEnded(ending.signal)));
      if (isFault) board.end(name, held, error);
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  #look(configuration: Configuration, visitor: Visitor): Promise<void> {
    const look = () => placesOfThisMachine.look(configuration);
    return this.#exclusive.look(configuration.name, look, { takeOver: takeOverOf(configuration, visitor) });
  }

  /** What a session that has its place does for newcomers, where it has links, and goes on with those that are its own. */
  #holding(
    { resume, resumeForeign }: Configuration,
    { connection }: Newcomer,
    first: Transport | BegunLink,
    supply: LinkSupply,
    running: Session,
  ): HolderOptions<BegunLink> {
    const isIntroduced = "handshake" in first && first.handshake.introduction !== undefined;
    const isResumable = "handshake" in first && resume > 0 && (isIntroduced || resumeForeign);
    /** A server that cannot show who it is may go on only where nobody is, and where one like it was. */
    const isOwn = ({ handshake }: BegunLink) =>
      isIntroduced
        ? handshake.provesKey(supply.key)
        : running.state === "waiting" && handshake.introduction === undefined;
    const handOver = (link: BegunLink) => {
      const isTaken = isOwn(link);
      if (isTaken) supply.offer(link);
      return isTaken;
    };
    return {
      isAlive: () => (running.connection ?? connection).isAlive(ANSWER_TIME),
      ...(isResumable && { handOver, leaving: running.leaving }),
    };
  }
}

/** Whether a session that has failed so has lost nothing that was written, and its state hook has not failed. */
function isInOrder(error: unknown): boolean {
  return !(error instanceof LossError || error instanceof StateHookError);
}

/** Who has asked for the end, in a word or two; undefined if that was nobody in particular. */
function howEnded({ reason }: AbortSignal): string | undefined {
  return reason instanceof TakenOverError || reason instanceof EjectedError ? reason.message : undefined;
}

function takeOverOf(
  { takeOver, takeOverInterval }: Configuration,
  { takesOver, address }: Visitor,
): TakeOver | undefined {
  return takesOver ? { by: address, isAllowed: takeOver, interval: takeOverInterval * 1000 } : undefined;
}

/**
 * The configuration that a path names; `/` is the default one.
 * @throws Error when there is none. It does not tell others which there are.
 */
function configurationAt({ configurations, defaultName }: Config, path: string): Configuration {
  const name = nameIn(path) ?? defaultName;
  if (name === undefined) {
    throw withWordsForOthers(new Error("no configuration is the default one; the path must name one"));
  }
  const configuration = configurations.get(name);
  if (configuration) return configuration;
  const error = new Error(`there is no configuration ${quoted(withoutCredentials(name))}`);
  throw withWordsForOthers(error, "there is no such configuration");
}

/** The name of a configuration that a path has; undefined in `/`, which is the default one. */
export function nameIn(path: string): string | undefined {
  const encoded = path.replace(/[?#].*/s, "").slice(1);
  if (encoded === "") return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

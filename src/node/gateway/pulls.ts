import type { UnflushedMemory } from "../../export/resume/unflushed-memory.ts";
import { deferred } from "../../streams/deferred.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import { unlessAborted } from "../../streams/unless-aborted.ts";
import { shownUrl } from "../../transport/shown-url.ts";
import type { Config, Configuration } from "../config/config.ts";
import { allowedSource } from "../pull/allowed-source.ts";
import { type PulledSession, pulledSession } from "../pull/pulled-session.ts";
import { InUseError } from "./in-use-error.ts";
import type { Sessions } from "./sessions.ts";

/** What is asked for at the door. */
export interface Pull {
  /** Of the configuration; undefined: the default one. */
  readonly name: string | undefined;
  /** As it came. */
  readonly url: string;
  /** Whether it takes the configuration over if that is in use. */
  readonly takesOver: boolean;
  /** The address of who asks. */
  readonly address: string;
  /** Calls it off, as long as the disk is not there. */
  readonly signal: AbortSignal;
}

export interface PullsOptions {
  config: Config;
  sessions: Pick<Sessions, "run">;
  unflushed: UnflushedMemory;
}

/** A session that fetches its file by itself. */
interface Pulling {
  readonly url: string;
  readonly running: PulledSession;
}

/** What the gateway fetches by itself, one file for each configuration. */
export class Pulls {
  readonly #options: PullsOptions;
  /** Configurations whose disk is not there yet: each opens one file at a time. */
  readonly #opening = new Set<string>();
  /** Those whose disk is there, by the names of their configurations. */
  readonly #there = new Map<string, Pulling>();

  constructor(options: PullsOptions) {
    this.#options = options;
  }

  /**
   * Has a file at a URL become the disk of a configuration, and waits until it is there. The same URL again ends the pause of a
   * disk that waits for its server.
   *
   * @returns the name of the configuration; undefined if there is none of that name
   * @throws SourceError when the sources do not allow the URL: nothing was connected to then
   * @throws InUseError, NoTakeOverError; or what the session has failed with: HttpError where the file cannot be read
   */
  async pull({ name = this.#options.config.defaultName, ...pull }: Pull): Promise<string | undefined> {
    const configuration = this.#options.config.configurations.get(name ?? "");
    if (!configuration) return undefined;
    const { url } = allowedSource(pull.url, configuration.sources);
    const there = this.#there.get(configuration.name);
    if (there?.running.state === "waiting" && there.url === url.href && !pull.takesOver) {
      await unlessAborted(there.running.hurry(), pull.signal);
      return configuration.name;
    }
    if (this.#opening.has(configuration.name)) throw alreadyAsked(configuration.name);
    this.#opening.add(configuration.name);
    try {
      await this.#begin(url, configuration, pull);
    } finally {
      this.#opening.delete(configuration.name);
    }
    return configuration.name;
  }

  async #begin(
    url: URL,
    configuration: Configuration,
    { takesOver, address, signal }: Omit<Pull, "name">,
  ): Promise<void> {
    const { sessions, unflushed } = this.#options;
    const { name } = configuration;
    const { hostname } = url;
    const ending = new AbortController();
    const callOff = () => ending.abort(signal.reason);
    signal.addEventListener("abort", callOff);
    if (signal.aborted) callOff();
    const left = deferred<void>();
    ending.signal.addEventListener("abort", () => left.resolve());
    const attached = deferred<void>();
    const over = sessions.run(configuration, {
      visitor: { path: `/${encodeURIComponent(name)}`, address, takesOver },
      since: new Date(),
      ending,
      link: { closed: left.promise },
      address: "",
      source: shownUrl(url),
      other: ({ connection }) => ({ address: hostname, silence: connection?.silence ?? 0 }),
      begin: (options) => {
        const running = pulledSession(url, configuration, { ...options, unflushed });
        running.attached.then(() => this.#note(name, { url: url.href, running }));
        running.attached.then(attached.resolve);
        return running;
      },
      holding: ({ leaving }) => ({ leaving }),
    });
    const early = over.then(() => {
      throw withWordsForOthers(new Error("it was ended before its disk was there"));
    });
    early.catch(() => {});
    try {
      await Promise.race([attached.promise, early]);
    } finally {
      // From now on it does not depend on who has asked for it.
      signal.removeEventListener("abort", callOff);
    }
  }

  #note(name: string, pulling: Pulling): void {
    this.#there.set(name, pulling);
    const forget = () => {
      if (this.#there.get(name) === pulling) this.#there.delete(name);
    };
    pulling.running.ended.then(forget, forget);
  }
}

function alreadyAsked(name: string): InUseError {
  const words = "another file is about to be this configuration's disk";
  return new InUseError(`configuration "${name}" was not changed: ${words}`, words);
}

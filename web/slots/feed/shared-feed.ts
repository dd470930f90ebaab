import type { News } from "./news.ts";

export interface SharedFeedOptions {
  /** By which tabs of one gateway know each other. */
  readonly name: string;
  onnews(news: News): void;
  /** Has what the gateway tells, for as long as it runs. */
  run(onnews: (news: News) => void, signal: AbortSignal): Promise<void>;
  /** Those of the browser, if it has any. */
  readonly locks: Pick<LockManager, "request"> | undefined;
}

/** What a tab asks for that has just come. */
const QUESTION = "news?";

/**
 * One connection to a gateway for all tabs of a browser that are looked at, since a browser has six to a host: the tab that
 * holds a lock has it, and tells the others. Where a browser has no locks, as over plain HTTP beyond loopback, each has its own.
 *
 * A tab that needs a login gives the lock to another: over plain HTTP each has a login of its own.
 */
export class SharedFeed {
  readonly #options: SharedFeedOptions;
  #leaving: AbortController | undefined;

  constructor(options: SharedFeedOptions) {
    this.#options = options;
  }

  /** Whether it is told, or waits to be. */
  get isJoined(): boolean {
    return this.#leaving !== undefined;
  }

  /** Begins to be told. Being told already, it does nothing. */
  join(): void {
    if (this.#leaving) return;
    const leaving = new AbortController();
    this.#leaving = leaving;
    void this.#take(leaving.signal).finally(() => {
      leaving.abort();
      if (this.#leaving === leaving) this.#leaving = undefined;
    });
  }

  /** Ends it, as where nobody looks at the tab. */
  leave(): void {
    this.#leaving?.abort();
    this.#leaving = undefined;
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { name, run, onnews, locks } = this.#options;
    const channel = locks && openChannel(name);
    if (!locks || !channel) return run(onnews, signal);
    signal.addEventListener("abort", () => channel.close());
    channel.onmessage = ({ data }) => {
      if (data !== QUESTION) onnews(data as News);
    };
    channel.postMessage(QUESTION);
    try {
      await locks.request(name, { signal }, () => this.#lead(channel, signal));
    } catch {
      // It has left, or the browser gives no locks: a page in a sandbox.
      if (!signal.aborted) await run(onnews, signal);
    }
  }

  async #lead(channel: BroadcastChannel, signal: AbortSignal): Promise<void> {
    let last: News | undefined;
    channel.onmessage = ({ data }) => {
      if (data === QUESTION && last) channel.postMessage(last);
    };
    const tell = (news: News) => {
      if (signal.aborted) return;
      // What a server lacks each tab finds out by itself, and its login is its own.
      if (news.kind === "status" || news.kind === "lost") {
        last = news;
        channel.postMessage(news);
      }
      this.#options.onnews(news);
    };
    await this.#options.run(tell, signal);
  }
}

function openChannel(name: string): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel(name);
  } catch {
    return undefined;
  }
}

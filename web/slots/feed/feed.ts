import { Backoff, type BackoffTimes } from "../../../src/resuming/backoff.ts";
import { computerClock } from "../../../src/resuming/clock.ts";
import { pause } from "../../../src/resuming/pause.ts";
import { answerOf, PATIENCE, wantsLogin } from "../../login/answer.ts";
import { Wakes } from "../../serving/wakes.ts";
import { type News, statusIn, withConfiguration } from "./news.ts";
import { Patience } from "./patience.ts";
import { readEvents } from "./read-events.ts";

export interface FeedTimes extends BackoffTimes {
  /** Milliseconds between two looks where the gateway has no room for one more reader of its events. */
  readonly poll: number;
  /** How many looks there are before room is asked for again. */
  readonly polls: number;
}

const TIMES: FeedTimes = { least: 1000, most: 30_000, poll: 5000, polls: 6 };

/** The gateway's answer where as many read the events as may. */
const NO_ROOM = 503;

export interface FeedOptions {
  /** The URL of the page, which its gateway's other addresses lie beside. */
  readonly base: string;
  /** What a request needs to be let in. */
  headers(): Record<string, string>;
  onnews(news: News): void;
  readonly times?: FeedTimes;
}

/**
 * What the gateway tells of its configurations, for as long as this runs: events, or looks at its status where it has no room
 * for one more reader. A connection that is lost comes back. It ends by itself where it would be told nothing any more: the
 * gateway wants a login, or the server knows of no events.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #times: FeedTimes;
  readonly #backoff: Backoff;
  readonly #wakes = new Wakes();

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#backoff = new Backoff(Math.random, this.#times);
  }

  /** Runs until an abort, or its end. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const news = await this.#listen(signal);
      if (signal.aborted) return;
      if (news) this.#options.onnews(news);
      if (news?.kind === "locked" || news?.kind === "none") return;
      await this.#pause(this.#backoff.next(), signal);
    }
  }

  /** Tries at once to have a lost connection again, as when the network is back. */
  wake(): void {
    this.#backoff.succeeded();
    this.#wakes.wake();
  }

  #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    return pause(milliseconds, { clock: computerClock(), onWake: this.#wakes.on, signal });
  }

  /** Reads events. Returns why it does not any more; undefined if that is nothing to tell. */
  async #listen(signal: AbortSignal): Promise<News | undefined> {
    let news: News | undefined;
    const ended = await this.#ask("events", signal, async (response, patience) => {
      if (response.status === NO_ROOM) return "full";
      const refused = await refusalIn(response, "text/event-stream");
      if (refused) return refused;
      patience.keep();
      await readEvents(response.body!, (name, data) => {
        if (signal.aborted || news?.kind === "none") return;
        news = newsAfter(news, name, data);
        if (news?.kind === "status") this.#tell(news);
        // Nothing that it tells would be understood.
        else if (news) patience.end();
      });
      return undefined;
    });
    if (ended === "full") return this.#poll(signal);
    if (news?.kind === "none") return news;
    // That events have ended is told if the next attempt, which comes soon, fails.
    return news ? undefined : (ended ?? NO_ANSWER);
  }

  /** Looks at the status, a number of times. Returns why it cannot; undefined if it could. */
  async #poll(signal: AbortSignal): Promise<News | undefined> {
    for (let i = 0; i < this.#times.polls && !signal.aborted; i++) {
      const news = await this.#ask("status", signal, async (response) => {
        const refused = await refusalIn(response, "application/json");
        return refused ?? newsAfter(undefined, "status", await response.text());
      });
      if (news?.kind !== "status") return news;
      this.#tell(news);
      await this.#pause(this.#times.poll, signal);
    }
    return undefined;
  }

  #tell(news: News): void {
    this.#backoff.succeeded();
    this.#options.onnews(news);
  }

  /** Asks the gateway, which may take its time only where it is told so. What fails is news. */
  async #ask<T>(
    path: string,
    signal: AbortSignal,
    use: (response: Response, patience: Patience) => Promise<T>,
  ): Promise<T | News> {
    const { base, headers } = this.#options;
    const patience = new Patience(signal, PATIENCE);
    try {
      const url = new URL(path, base);
      const request: RequestInit = { headers: headers(), cache: "no-store", redirect: "manual" };
      return await use(await fetch(url, { ...request, signal: patience.signal }), patience);
    } catch {
      // Browsers do not tell why.
      return NO_ANSWER;
    } finally {
      patience.end();
    }
  }
}

const NO_ANSWER: News = { kind: "lost" };

/** What an answer means, if it is not what was asked for. */
async function refusalIn(response: Response, type: string): Promise<News | undefined> {
  const { ok, status, headers } = response;
  if (wantsLogin(response)) return { kind: "locked" };
  if (ok) return headers.get("Content-Type")?.startsWith(type) ? undefined : { kind: "none" };
  // A relay, or a server of files.
  if (status === 404 || status === 405 || status === 501) return { kind: "none" };
  return { kind: "lost", words: await answerOf(response) };
}

/** What is known after an event. */
function newsAfter(before: News | undefined, name: string, data: string): News | undefined {
  const value = parsed(data);
  if (name === "status") {
    const document = statusIn(value);
    return document ? { kind: "status", document } : { kind: "none" };
  }
  if (name !== "configuration" || before?.kind !== "status") return before;
  return { kind: "status", document: withConfiguration(before.document, value) };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

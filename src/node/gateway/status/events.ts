import type { ServerResponse } from "node:http";
import { deadline } from "../../../streams/deadline.ts";
import { beginAnswer } from "../answers.ts";
import type { ConfigurationStatus, StatusDocument } from "./document.ts";

/** Milliseconds between two looks for figures that are new. */
const FIGURES_TIME = 1000;

/** Milliseconds without a line after which a listener is sent an empty one, so that no proxy takes the connection for dead. */
const QUIET_TIME = 15_000;

/** Milliseconds that a listener has to take what it was sent, if nothing else is said. */
const STALL_TIME = 30_000;

/** nginx would collect what it passes on. */
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store",
  "X-Accel-Buffering": "no",
  Connection: "close",
};

export interface EventsOptions {
  /** The whole, as it is now. */
  document(): StatusDocument;
  /** A configuration as it is now; undefined if it is gone. */
  configuration(name: string): ConfigurationStatus | undefined;
  /** The names of those whose figures may change. */
  busy(): readonly string[];
  /** The most listeners at the same time. */
  most: number;
  /** Milliseconds that a listener has to take what it was sent. Default 30,000. */
  stallTime?: number;
}

/**
 * What goes on, as server-sent events, for those who read them: at first the event `status` with the whole document, then
 * `configuration` with what a configuration is by now, at each change of its state, and once a second where its figures
 * are others.
 *
 * A listener that reads too slowly is sent the latest of each configuration once it reads again, so that nothing piles up; one
 * that has not taken all of that within 30 s is dropped. There is one timer, while there are listeners.
 */
export class Events {
  readonly #options: EventsOptions;
  readonly #listeners = new Set<Listener>();
  /** The last text of each configuration, made once for all listeners. */
  readonly #texts = new Map<string, string>();
  /** What is new in the figures shows in it. */
  readonly #marks = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    return this.#listeners.size < this.#options.most;
  }

  /**
   * Answers with what goes on, until the reader leaves, is not welcome any more, or `end`.
   * @param isWelcome is asked once a second
   */
  add(response: ServerResponse, isWelcome: () => boolean): void {
    beginAnswer(response, 200, HEADERS);
    const { stallTime = STALL_TIME } = this.#options;
    const listener = new Listener(response, { isWelcome, stallTime, textOf: (name) => this.#textOf(name) });
    this.#listeners.add(listener);
    response.once("close", () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#rest();
    });
    this.#timer ??= setInterval(() => this.#tick(), FIGURES_TIME).unref();
    listener.begin(eventOf("status", this.#options.document()));
  }

  /** Tells that the state of a configuration is another one, or that its last session is over after it has left the file. */
  changed(name: string): void {
    if (this.#listeners.size === 0) return;
    if (!this.#options.configuration(name)) {
      this.renewed();
      return;
    }
    this.#note(name);
    for (const listener of this.#listeners) listener.send([name]);
  }

  /** Tells all of it anew, as where there are other configurations. */
  renewed(): void {
    if (this.#listeners.size === 0) return;
    for (const name of this.#marks.keys()) {
      if (!this.#options.configuration(name)) this.#forget(name);
    }
    const whole = eventOf("status", this.#options.document());
    for (const listener of this.#listeners) listener.begin(whole);
  }

  /** Ends all answers. */
  end(): void {
    for (const listener of this.#listeners) listener.end();
  }

  #tick(): void {
    const news = this.#options.busy().filter((name) => this.#note(name));
    for (const listener of this.#listeners) listener.tick(news);
  }

  /** Looks at a configuration. Returns whether it is another than it was at the last look. */
  #note(name: string): boolean {
    const status = this.#options.configuration(name);
    if (!status) return false;
    const mark = markOf(status);
    if (this.#marks.get(name) === mark) return false;
    this.#marks.set(name, mark);
    this.#texts.set(name, eventOf("configuration", status));
    return true;
  }

  #textOf(name: string): string {
    return this.#texts.get(name) ?? "";
  }

  #forget(name: string): void {
    this.#texts.delete(name);
    this.#marks.delete(name);
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#texts.clear();
    this.#marks.clear();
  }
}

interface ListenerOptions {
  /** Asked once a second. What it throws counts as no. */
  isWelcome(): boolean;
  /** Milliseconds. */
  stallTime: number;
  /** The latest of a configuration. */
  textOf(name: string): string;
}

/** One who reads. What it has not been sent is no more than names. */
class Listener {
  readonly #response: ServerResponse;
  readonly #options: ListenerOptions;
  readonly #unsent = new Set<string>();
  #whole: string | undefined;
  #callOff: (() => void) | undefined;
  #sentAt = performance.now();

  constructor(response: ServerResponse, options: ListenerOptions) {
    this.#response = response;
    this.#options = options;
    response.on("drain", () => {
      this.#callOff?.();
      this.#callOff = undefined;
      this.#flush();
    });
    response.once("close", () => this.#callOff?.());
    response.on("error", () => {}); // its close comes next
  }

  /** Sends the whole; what was to be sent before is in it. */
  begin(whole: string): void {
    this.#whole = whole;
    this.#unsent.clear();
    this.#flush();
  }

  send(names: readonly string[]): void {
    for (const name of names) this.#unsent.add(name);
    this.#flush();
  }

  tick(names: readonly string[]): void {
    if (!this.#isWelcome()) this.end();
    this.send(names);
    if (!this.#callOff && performance.now() - this.#sentAt > QUIET_TIME) this.#write(":\n\n");
  }

  end(): void {
    this.#response.end();
    this.#stall();
  }

  #isWelcome(): boolean {
    try {
      return this.#options.isWelcome();
    } catch {
      return false;
    }
  }

  #flush(): void {
    if (this.#whole !== undefined && !this.#callOff) {
      this.#write(this.#whole);
      this.#whole = undefined;
    }
    for (const name of this.#unsent) {
      if (this.#callOff) return;
      this.#unsent.delete(name);
      this.#write(this.#options.textOf(name));
    }
  }

  #write(text: string): void {
    if (text === "" || this.#response.writableEnded || this.#response.destroyed) return;
    this.#sentAt = performance.now();
    if (!this.#response.write(text)) this.#stall();
  }

  /** Nothing more is sent until what was sent is taken, for which there is some time. */
  #stall(): void {
    this.#callOff ??= deadline(this.#options.stallTime, () => this.#response.destroy());
  }
}

function eventOf(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** All of a status but what changes by itself. */
function markOf(status: ConfigurationStatus): string {
  return JSON.stringify(status, (key, value) => (key === "silence" ? undefined : value));
}

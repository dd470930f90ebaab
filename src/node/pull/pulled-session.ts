import type { RequestWindow } from "../../export/request-window.ts";
import type { UnflushedMemory } from "../../export/resume/unflushed-memory.ts";
import { type Clock, computerClock } from "../../resuming/clock.ts";
import { deadline } from "../../streams/deadline.ts";
import { shownUrl } from "../../transport/shown-url.ts";
import type { Configuration } from "../config/config.ts";
import type { Place, Places } from "../session/place.ts";
import { places as placesOfThisMachine } from "../session/places.ts";
import { type Session, SessionRecord } from "../session/session-state.ts";
import { type WhileLastingOptions, whileLasting } from "../session/while-lasting.ts";
import type { Resolve } from "./checked-lookup.ts";
import { LastingFile } from "./lasting-file.ts";
import { openPulledFile } from "./pulled-file.ts";

export interface PulledSessionOptions extends WhileLastingOptions {
  places?: Places;
  /** See `ResumeOptions`. */
  unflushed?: UnflushedMemory;
  resolve?: Resolve | undefined;
  clock?: Clock;
}

/** A session whose file this machine fetches by itself. */
export interface PulledSession extends Session {
  /** Finds out at once whether the file's server is back, where it is waited for. Rejects if it is not. */
  hurry(): Promise<void>;
}

/** What a server is asked for at a time, where the configuration does not say. */
const WINDOW: RequestWindow = { request: 1 << 18, outstanding: 1 << 22 };

/** How often a read is tried again: about half a minute; and where the disk can wait instead, for some seconds. */
const RETRIES = 8;
const RETRIES_BEFORE_WAITING = 3;

/** Milliseconds that a server may be silent, unless the configuration's `timeout` is less. */
const SILENCE = 20_000;

/**
 * One session with a file on a web server in place of a link: its place is looked at, the file is opened, the place is taken. It
 * lasts until the signal asks for the end, or the server has been away for the configuration's `resume` seconds. With `resume` 0
 * it stays, and what is asked for fails with EIO.
 *
 * `ended` settles as that of `session`, and also rejects with the HttpError of a file that cannot be opened.
 *
 * @param url that the configuration's sources allow
 */
export function pulledSession(
  url: URL,
  configuration: Configuration,
  { places = placesOfThisMachine, unflushed, resolve, ...options }: PulledSessionOptions,
): PulledSession {
  const { clock = { ...computerClock(), after: deadline }, log, signal } = options;
  const { sources, resume: patience, timeout } = configuration;
  const record = new SessionRecord(log);
  let lasting: LastingFile | undefined;

  async function run(): Promise<void> {
    await places.look(configuration);
    const retries = patience > 0 ? RETRIES_BEFORE_WAITING : RETRIES;
    const onnote = (line: string) => log(line, "warning");
    const silence = timeout === 0 ? SILENCE : Math.min(SILENCE, Math.ceil(timeout * 1000));
    const file = await openPulledFile(url, {
      sources,
      timeout: silence,
      retries,
      onnote,
      signal,
      resolve,
      clock,
    }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    if (!file) return;
    let place: Place | undefined;
    try {
      place = await places.claim(configuration);
      record.connection = file.connection;
      log(`fetching ${shownUrl(url)}`);
      const window = { ...WINDOW, ...configuration.window };
      const { request: longest } = window;
      lasting = new LastingFile(file, { patience, timeout, longest, unflushed, clock, signal, log, record });
      await whileLasting({ lasting, name: file.name, window }, place, configuration, options, record);
    } finally {
      await file.close();
      await place?.release();
    }
  }

  const ended = run().finally(() => record.enter("ended"));
  ended.catch(() => {});
  return Object.assign(record, { ended, hurry: async () => lasting?.hurry() });
}

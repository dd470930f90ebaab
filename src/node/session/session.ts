import type { RequestWindow } from "../../export/request-window.ts";
import { checkObject } from "../../streams/check.ts";
import type { Transport } from "../../streams/duplex.ts";
import type { Configuration } from "../config/config.ts";
import type { Log } from "../log/log.ts";
import { lastingExport, type ResumeOptions } from "./lasting-export.ts";
import { linkedExport } from "./linked-export.ts";
import { type Links, linksOf, nextLink } from "./links.ts";
import type { Place, Places } from "./place.ts";
import { places as placesOfThisMachine } from "./places.ts";
import { type Session, SessionRecord } from "./session-state.ts";
import { type WhileLastingOptions, whileLasting } from "./while-lasting.ts";

export interface SessionOptions extends WhileLastingOptions {
  /** Takes a line for people when the state changes, and how much it matters. */
  log: Log;
  /** Asks for an orderly end. If its reason has words for others (`ForOthers`), the other end is told them. */
  signal: AbortSignal;
  /** Seconds of silence on the link after which a sector is read, as a sign of life; 0: never. Default 0. */
  silence?: number;
  /** What the server is asked for at most, where the configuration does not say. Default: what `RemoteExport` says. */
  window?(): Promise<Partial<RequestWindow>>;
  /**
   * Bytes that have come from the other side so far. With it the link counts as lost if nothing comes for 5 s while something is
   * outstanding, once an orderly end was asked for.
   */
  received?(): number;
  /** Where the place of a configuration comes from. Default: this machine's. */
  places?: Places;
  /**
   * Has the session go on over new links for the configuration's `resume` seconds, if the other side has introduced itself, or
   * `resume-foreign` allows it for what is read-only. Its links must have begun; see `Links`. Default: it ends with its link.
   */
  resume?: ResumeOptions;
}

/**
 * One session, from the handshake to the end of the link, the last of its links, or the process: takes the export at the other end of
 * the link and puts it to the use that the configuration asks for.
 *
 * Whether the place for it can be had is found out first. It is taken when the server has greeted, before anything is
 * said to it: a client that says nothing keeps no other out. It is given back when a reply of the handshake takes more than
 * 30 s, or the whole more than 60 s, without the wait for the place. The greeting has 5 s. Where the configuration's
 * `timeout` is less, so are these times.
 *
 * `ended` resolves when the remote ended in order, between requests and with nothing outstanding, and after an orderly
 * end by `signal`. Nothing is left when it settles, whichever way. It rejects with
 *
 * - ConfigError when the place where the export is to be is not there, or in use. Nothing was said to the other side then.
 *   When that shows at the start, no link is asked for, and a transport is still the caller's.
 * - LossError, StateHookError, RefusedError, LinkError, ProtocolError, or the transport's error.
 *
 * @param links a transport, or a supply of links. One link is asked for; more of them where the session can go on
 * @throws TypeError when an argument is not what it should be
 */
export function session(
  links: Transport | Links,
  configuration: Configuration,
  options: SessionOptions,
): Session {
  const supply = linksOf(links);
  checkObject(configuration, "the configuration");
  checkObject(options, "the options");
  const record = new SessionRecord(options.log);
  const ended = run(supply, configuration, options, record).finally(() => record.enter("ended"));
  ended.catch(() => {});
  return Object.assign(record, { ended });
}

async function run(
  links: Links,
  configuration: Configuration,
  options: SessionOptions,
  record: SessionRecord,
): Promise<void> {
  const { signal, silence = 0, received, places = placesOfThisMachine } = options;
  const { timeout } = configuration;
  const window = async () => ({ ...(await options.window?.()), ...configuration.window });
  await places.look(configuration);
  const link = await nextLink(links, signal);
  if (!link) return;
  let place: Place | undefined;
  const onGreeting = async () => {
    place = await places.claim(configuration);
  };
  try {
    const key = options.resume?.key;
    const first = await linkedExport(link, {
      ...{ timeout, silence, signal, onGreeting, window },
      ...(received && { received }),
      ...(key && { key }),
    });
    if (!first) return;
    record.connection = first.connection;
    const { remote } = first;
    const { resume, log } = options;
    const lasting = lastingExport(first, configuration, { resume, links, signal, log, record });
    const found = { lasting, name: remote.name ?? "", window: remote.window };
    await whileLasting(found, place!, configuration, options, record);
  } finally {
    await (place as Place | undefined)?.release();
  }
}

import { OPERATIONS, type Operation, type OperationSnapshot } from "../../../export/filters/statistics.ts";
import { formatAddress } from "../../config/address.ts";
import type { Configuration } from "../../config/config.ts";
import type { Session } from "../../session/session-state.ts";
import type { BoardEntry, Holding } from "./board.ts";
import { mediumName } from "./medium-name.ts";
import { quantile } from "./quantile.ts";
import { type ConfigurationState, stateWith } from "./state.ts";

/** The version of the document. It grows when something that was there goes, or means something else. */
export const STATUS_VERSION = 1;

/** What `GET /status` answers; bin/status.schema.json describes it. Times are ISO 8601, spans are seconds, amounts bytes. */
export interface StatusDocument {
  readonly version: typeof STATUS_VERSION;
  readonly gateway: GatewayStatus;
  /** In the order of the configuration file. */
  readonly configurations: readonly ConfigurationStatus[];
}

export interface GatewayStatus {
  readonly version: string;
  /** The name of its machine. */
  readonly host: string;
  readonly startedAt: string;
  readonly uptime: number;
}

export interface ConfigurationStatus {
  readonly name: string;
  readonly isDefault: boolean;
  readonly state: ConfigurationState;
  /** Where the disk is, or will be: a device, "unix socket", or an address. */
  readonly where: string;
  readonly isReadOnly: boolean;
  /** Whether a newcomer may take it over. */
  readonly allowsTakeOver: boolean;
  readonly session: SessionStatus | null;
  readonly lastError: { readonly words: string; readonly at: string } | null;
}

export interface SessionStatus {
  readonly id: string;
  readonly since: string;
  /** Until when a new link is waited for. */
  readonly waitingUntil: string | null;
  readonly medium: { readonly name: string; readonly size: number; readonly isWritable: boolean } | null;
  readonly peer: {
    readonly address: string | null;
    /** The URL that the gateway fetches from by itself, without secrets. */
    readonly source: string | null;
  };
  readonly link: LinkStatus;
  /** By what local clients ask for; what none has asked for is absent. */
  readonly requests: { readonly [operation in Operation]?: RequestStatus };
  readonly outstanding: number;
  readonly cache: { readonly hits: number; readonly misses: number };
}

export interface LinkStatus {
  readonly roundTrip: number | null;
  readonly silence: number | null;
  readonly received: number;
  readonly sent: number;
  readonly losses: number;
}

export interface RequestStatus {
  readonly count: number;
  readonly bytes: number;
  readonly errors: number;
  readonly outstanding: number;
  /** Half of the requests took at most the median; of 100, 99 at most `p99`. */
  readonly latency: {
    readonly mean: number | null;
    readonly median: number | null;
    readonly p99: number | null;
  };
}

/** A configuration as it is now. */
export function configurationStatus(
  { name, target, readOnly, takeOver }: Pick<Configuration, "name" | "target" | "readOnly" | "takeOver">,
  { holding, lastError }: Pick<BoardEntry, "holding" | "lastError">,
  isDefault: boolean,
): ConfigurationStatus {
  return {
    name,
    isDefault,
    state: stateWith(holding?.running),
    where: whereToShow(target, holding?.running),
    isReadOnly: readOnly,
    allowsTakeOver: takeOver,
    session: holding ? sessionStatus(holding) : null,
    lastError: lastError ? { words: lastError.words, at: lastError.at.toISOString() } : null,
  };
}

/** Where a disk is. The device and the port are for those who use it; the path of a socket is not for all who may look. */
function whereToShow(target: Configuration["target"], running: Session | undefined): string {
  if (!("listen" in target)) return target.nbdDevice;
  // The port may have been chosen by the system.
  return "path" in target.listen ? "unix socket" : (running?.where ?? formatAddress(target.listen));
}

function sessionStatus({ id, since, address, source, running }: Holding): SessionStatus {
  const { exported, counts, traffic, connection, waitingUntil } = running;
  const { received, sent, losses, roundTrip, hits, misses } = traffic;
  const requests = OPERATIONS.map((operation) => [operation, counts.of(operation)] as const);
  const asked = requests.filter(([, { count, errors, outstanding }]) => count + errors + outstanding > 0);
  const from = connection?.address ?? address;
  return {
    id,
    since: since.toISOString(),
    waitingUntil: waitingUntil?.toISOString() ?? null,
    medium: exported
      ? { name: mediumName(exported.name), size: exported.size, isWritable: exported.isWritable }
      : null,
    peer: { address: from === "" ? null : from, source: source ?? null },
    link: {
      roundTrip: inSeconds(roundTrip),
      silence: inSeconds(connection?.silence),
      received,
      sent,
      losses,
    },
    requests: Object.fromEntries(asked.map(([operation, one]) => [operation, requestStatus(one.snapshot())])),
    outstanding: requests.reduce((all, [, { outstanding }]) => all + outstanding, 0),
    cache: { hits, misses },
  };
}

function requestStatus({ count, bytes, errors, outstanding, latency }: OperationSnapshot): RequestStatus {
  const calls = count + errors;
  return {
    count,
    bytes,
    errors,
    outstanding,
    latency: {
      mean: calls > 0 ? rounded(latency.sum / calls) : null,
      median: quantile(latency, 0.5) ?? null,
      p99: quantile(latency, 0.99) ?? null,
    },
  };
}

const inSeconds = (milliseconds: number | undefined) =>
  milliseconds === undefined ? null : rounded(milliseconds / 1000);

/** To microseconds. */
const rounded = (seconds: number) => Math.round(seconds * 1e6) / 1e6;

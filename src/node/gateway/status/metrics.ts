import { Errno } from "../../../export/error.ts";
import { LATENCY_BOUNDS } from "../../../export/filters/latency.ts";
import { OPERATIONS, type Operation } from "../../../export/filters/statistics.ts";
import type { BoardEntry } from "./board.ts";
import { Exposition, type Labels } from "./exposition.ts";
import type { Figures } from "./figures.ts";
import { stateWith } from "./state.ts";

export { EXPOSITION_TYPE } from "./exposition.ts";

/** What a scrape is made of. */
export interface MetricsSource {
  /** Of the program. */
  readonly version: string;
  /** By the names of the configurations: those of the file, which no peer can choose. */
  readonly entries: ReadonlyMap<string, BoardEntry>;
  readonly listeners: number;
}

const STATES = ["free", "connecting", "attached", "waiting", "ending"] as const;

/** Operations as a label has them. */
const COMMANDS: Readonly<Record<Operation, string>> = {
  read: "read",
  write: "write",
  flush: "flush",
  trim: "trim",
  writeZeroes: "write_zeroes",
  cache: "cache",
  extents: "block_status",
};

/** What a request can fail with. */
const ERRNOS = Object.keys(Errno);

/** The metrics of a gateway, in the text format of Prometheus. The manual of nbd-gateway lists them. */
export function metricsText({ version, entries, listeners }: MetricsSource): string {
  const text = new Exposition();
  const each = [...entries].map(([configuration, entry]) => {
    return { labels: { configuration }, entry, figures: entry.figures() };
  });
  type Each = (typeof each)[number];
  const of = (value: (one: Each) => number | undefined) =>
    each.flatMap((one) => {
      const found = value(one);
      return found === undefined ? [] : [{ labels: one.labels, value: found }];
    });
  const byCommand = <T>(make: (labels: Labels, operation: Operation, figures: Figures) => T | T[]) =>
    each.flatMap(({ labels, figures }) =>
      OPERATIONS.flatMap((operation) =>
        make({ ...labels, command: COMMANDS[operation] }, operation, figures),
      ),
    );

  text.add("nbd_gateway_info", "gauge", "The version of the gateway.", [{ labels: { version }, value: 1 }]);
  text.add("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", [
    { value: performance.timeOrigin / 1000 },
  ]);
  const { user, system } = process.cpuUsage();
  text.add("process_cpu_seconds_total", "counter", "Processor time of the process, in seconds.", [
    { value: (user + system) / 1e6 },
  ]);
  text.add("process_resident_memory_bytes", "gauge", "Resident memory of the process.", [
    { value: process.memoryUsage.rss() },
  ]);
  text.add("nbd_gateway_event_listeners", "gauge", "Who reads /events now.", [{ value: listeners }]);
  text.add(
    "nbd_configuration_state",
    "gauge",
    "1 for the state that a configuration is in, 0 for the others.",
    each.flatMap(({ labels, entry }) =>
      STATES.map((state) => ({
        labels: { ...labels, state },
        value: state === stateWith(entry.holding?.running) ? 1 : 0,
      })),
    ),
  );
  text.add(
    "nbd_configuration_failed",
    "gauge",
    "1 when the last session has failed, or could not begin, and no disk has been there since.",
    of(({ entry }) => (entry.lastError ? 1 : 0)),
  );
  text.add("nbd_medium_size_bytes", "gauge", "The size of the disk that is there.", of(sizeOf));
  text.add(
    "nbd_sessions_total",
    "counter",
    "Sessions that have begun.",
    of(({ entry }) => entry.sessions),
  );
  text.add(
    "nbd_sessions_failed_total",
    "counter",
    "Sessions that have failed, or could not begin as their place was not there.",
    of(({ entry }) => entry.failed),
  );
  text.add(
    "nbd_requests_total",
    "counter",
    "Requests of local clients that have succeeded.",
    byCommand((labels, operation, { operations }) => ({ labels, value: operations[operation].count })),
  );
  text.add(
    "nbd_request_bytes_total",
    "counter",
    "Bytes of the ranges of these.",
    byCommand((labels, operation, { operations }) =>
      operation === "flush" ? [] : { labels, value: operations[operation].bytes },
    ),
  );
  text.add(
    "nbd_request_errors_total",
    "counter",
    "Requests of local clients that have failed, by the error that they were given; of some commands it is not known.",
    byCommand(errorsOf),
  );
  text.add(
    "nbd_requests_outstanding",
    "gauge",
    "Requests of local clients that have not been answered.",
    byCommand((labels, operation, { operations }) => ({ labels, value: operations[operation].outstanding })),
  );
  text.addHistogram(
    "nbd_request_duration_seconds",
    "How long requests of local clients took.",
    LATENCY_BOUNDS,
    byCommand((labels, operation, { operations }) => ({ labels, ...operations[operation].latency })),
  );
  const received = "Bytes that came over the links.";
  text.add(
    "nbd_link_received_bytes_total",
    "counter",
    received,
    of(({ figures }) => figures.received),
  );
  text.add(
    "nbd_link_sent_bytes_total",
    "counter",
    "Bytes that went over the links.",
    of(({ figures }) => figures.sent),
  );
  text.add(
    "nbd_link_losses_total",
    "counter",
    "Links that were lost and waited for.",
    of(({ figures }) => figures.losses),
  );
  text.add(
    "nbd_link_round_trip_seconds",
    "gauge",
    "To the other side and back, as measured by reads.",
    of(roundTripOf),
  );
  const hits = "Reads for which nothing had to be asked of the other side.";
  text.add(
    "nbd_cache_hits_total",
    "counter",
    hits,
    of(({ figures }) => figures.hits),
  );
  text.add(
    "nbd_cache_misses_total",
    "counter",
    "The other reads.",
    of(({ figures }) => figures.misses),
  );
  return text.text;
}

const sizeOf = ({ entry }: { entry: BoardEntry }) => entry.holding?.running.exported?.size;

function roundTripOf({ entry }: { entry: BoardEntry }): number | undefined {
  const milliseconds = entry.holding?.running.traffic.roundTrip;
  return milliseconds === undefined ? undefined : milliseconds / 1000;
}

/** The failures of a command by their errors; those whose error was not taken note of are `other`. */
function errorsOf(labels: Labels, operation: Operation, { operations, failures }: Figures) {
  const command = COMMANDS[operation].toUpperCase();
  const known = ERRNOS.map((error) => {
    return { labels: { ...labels, error }, value: failures.get(`${command} ${error}`) ?? 0 };
  }).filter(({ value }) => value > 0);
  const others = operations[operation].errors - known.reduce((all, { value }) => all + value, 0);
  return [...known, { labels: { ...labels, error: "other" }, value: Math.max(0, others) }];
}

import type { ServingReport, Totals } from "../../../web/serving/report.ts";
import type { Serving, ServingOptions, StartServing } from "../../../web/serving/serving.ts";

const NOTHING: Totals = {
  ...{ reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0, errors: 0, outstanding: 0 },
  ...{ hits: 0, misses: 0, bytesCovered: 0 },
};

/** A report of which only what matters is told. */
export function reportOf(
  told: Partial<Omit<ServingReport, "totals">> & { totals?: Partial<Totals> },
): ServingReport {
  return {
    ...{ state: "connecting", since: Date.now(), failure: undefined, wasOpen: false, lost: undefined },
    ...{ lastReadAt: undefined, samples: [], lines: [], map: undefined },
    ...told,
    totals: { ...NOTHING, ...told.totals },
  };
}

/** A server that does nothing but what a test makes it say. */
export class StandInServing implements Serving {
  readonly isInWorker = true;
  readonly options: ServingOptions;
  /** What it was asked for by the page. */
  readonly asked: string[] = [];
  report = reportOf({});
  readonly #onReport: (report: ServingReport) => void;

  constructor(options: ServingOptions, onReport: (report: ServingReport) => void) {
    this.options = options;
    this.#onReport = onReport;
  }

  say(told: Parameters<typeof reportOf>[0]): void {
    this.report = reportOf(told);
    this.#onReport(this.report);
  }

  protocols(protocols: readonly string[]): void {
    this.asked.push(`protocols ${protocols.join()}`);
  }

  wake(): void {
    this.asked.push("wake");
  }

  stop(): void {
    this.asked.push("stop");
  }
}

/** What begins such servers, and those that were begun. */
export class StandIns {
  readonly all: StandInServing[] = [];
  readonly start: StartServing = (options, onReport) => {
    const serving = new StandInServing(options, onReport);
    this.all.push(serving);
    return serving;
  };

  get last(): StandInServing {
    const last = this.all.at(-1);
    if (!last) throw new Error("nothing was begun");
    return last;
  }
}

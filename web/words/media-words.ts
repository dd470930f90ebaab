import type { Kind, Situation } from "../media/situation.ts";
import type { Units } from "../media/units.ts";

/** What is said of a situation: what it is, why, and what to do about it. */
export interface Told {
  readonly headline: string;
  readonly cause?: string | undefined;
  readonly remedy?: string | undefined;
}

/** What is shown of the map, in shares between 0 and 1. */
export interface MapShares {
  readonly read: number;
  readonly written: number;
  readonly cached: number;
  /** Bytes of a cell. */
  readonly cellSize: number;
}

/** What is told of one cell of the map. */
export interface CellTold {
  /** Where it begins and ends, with units. */
  readonly from: string;
  readonly to: string;
  /** How often it was read. */
  readonly times: string;
  /** Shares between 0 and 1. */
  readonly written: number;
  readonly cached: number;
}

/** All that <nbd-media> says, in one language. Names of files come in as they are to be shown. */
export interface MediaWords {
  /** The language, as in `lang`. */
  readonly language: string;
  readonly situation: {
    readonly [K in Kind]: (situation: Extract<Situation, { kind: K }>, units: Units) => Told;
  };
  readonly drive: string;
  readonly on: (place: string) => string;
  readonly choose: string;
  readonly chooseAnother: string;
  readonly onlyRead: string;
  /** Why what was dropped was not taken. */
  /** Of the field for the address of an image. */
  readonly address: {
    readonly label: string;
    readonly use: string;
    readonly from: (host: string) => string;
  };
  readonly drop: { readonly isServing: string; readonly oneByOne: string };
  readonly bytes: (count: string) => string;
  readonly serve: string;
  readonly serveAgain: string;
  readonly serveInstead: string;
  readonly eject: string;
  readonly takeOver: string;
  readonly goOn: string;
  readonly lastRead: (time: string) => string;
  readonly figures: {
    readonly read: string;
    readonly readAndWritten: string;
    readonly requests: string;
    readonly latency: string;
    readonly mean: string;
    readonly covered: string;
    readonly bytesRead: string;
    readonly bytesWritten: string;
    readonly errors: string;
    readonly uptime: (time: string) => string;
    readonly outstanding: string;
    readonly hits: string;
    readonly coveredOf: (covered: string, size: string) => string;
  };
  readonly map: {
    readonly title: string;
    readonly unread: string;
    readonly times: string;
    readonly written: string;
    readonly cached: string;
    readonly cell: (cell: CellTold, units: Units) => string;
    readonly told: (shares: MapShares, units: Units) => string;
  };
  readonly log: {
    readonly title: string;
    readonly save: string;
    readonly levels: Readonly<Record<"info" | "warning" | "error", string>>;
    readonly empty: string;
  };
  readonly options: {
    readonly title: string;
    readonly cache: string;
    readonly none: string;
    readonly cacheHelp: string;
    readonly whileServing: string;
  };
  readonly notes: {
    /** Lines of the log that are the element's own. */
    readonly chosen: (name: string, size: string) => string;
    readonly cannotRead: (name: string, why: string) => string;
    readonly plainRequest: (words: string) => string;
  };
}

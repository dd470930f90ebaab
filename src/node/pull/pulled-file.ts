import type { HttpIdentity } from "../../export/http/identity.ts";
import { httpExport } from "../../export/http.ts";
import type { Clock } from "../../resuming/clock.ts";
import type { Connection } from "../session/links.ts";
import type { Resolve } from "./checked-lookup.ts";
import { sourceFetch } from "./source-fetch.ts";
import type { Source } from "./sources.ts";

export interface PulledFileOptions {
  sources: readonly Source[];
  /** Milliseconds that the server may be silent. */
  timeout: number;
  /** How often a read is tried again when what went wrong may pass. */
  retries: number;
  /** Takes a line for people. */
  onnote(line: string): void;
  /** Cancels the opening. */
  signal: AbortSignal;
  /** Default: that of the system. */
  resolve?: Resolve | undefined;
  clock?: Clock | undefined;
}

/** A file on a web server that this machine fetches by itself. */
export interface PulledFile {
  /** The last segment of its URL's path. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** What has come from its server. */
  readonly connection: Connection;
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Asks the server once what the file is now; it throws as `HttpExport`. */
  identity(): Promise<HttpIdentity>;
  /** Ends what is under way, and all connections. */
  close(): Promise<void>;
}

/**
 * Opens a file that the sources allow.
 * @throws HttpError; its cause is a SourceError where that is why
 */
export async function openPulledFile(
  url: URL,
  { sources, resolve, clock, ...options }: PulledFileOptions,
): Promise<PulledFile> {
  const fetcher = sourceFetch(sources, resolve ? { resolve } : {});
  try {
    const file = await httpExport(url, {
      ...options,
      fetch: (input, init = {}) => fetcher.fetch(input, init as Parameters<typeof fetcher.fetch>[1]),
      ...(clock && { clock }),
    });
    const meter = new Meter();
    return {
      name: nameOf(url),
      size: file.size,
      connection: meter,
      read: async (offset, length, signal) => {
        const bytes = await file.read(offset, length, signal && { signal });
        meter.came(bytes.byteLength);
        return bytes;
      },
      async identity() {
        const identity = await file.identity();
        meter.came(0);
        return identity;
      },
      async close() {
        await file.close();
        fetcher.close();
      },
    };
  } catch (error) {
    fetcher.close();
    throw error;
  }
}

/** Counts what came over connections that come and go. */
class Meter implements Connection {
  readonly address = "";
  readonly sent = 0;
  readonly closeCode = undefined;
  received = 0;
  #last = performance.now();

  get silence(): number {
    return performance.now() - this.#last;
  }

  came(bytes: number): void {
    this.received += bytes;
    this.#last = performance.now();
  }

  /** Nobody is at the other end who could be asked. */
  async isAlive(): Promise<boolean> {
    return true;
  }
}

function nameOf({ pathname }: URL): string {
  // What cannot be decoded is no source.
  return decodeURIComponent(pathname.slice(1 + pathname.lastIndexOf("/")));
}

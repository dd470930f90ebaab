import type { Export } from "../../export/export.ts";
import type { FastExport } from "../../export/filters/fast.ts";
import { resume } from "../../export/resume/resume.ts";
import type { UnflushedMemory } from "../../export/resume/unflushed-memory.ts";
import type { Configuration } from "../config/config.ts";
import type { Log } from "../log/log.ts";
import { firstSector } from "./first-sector.ts";
import type { LinkedExport } from "./linked-export.ts";
import type { Links } from "./links.ts";
import type { SessionRecord } from "./session-state.ts";
import { Succession } from "./succession.ts";

/** How a session goes on over the next link when one is lost. */
export interface ResumeOptions {
  /** Given to the other side to keep: with a proof of it, that side is who it was. In base64url. */
  key: string;
  /** With which the links were begun. */
  nonce: string;
  /** Where what was written and not flushed is kept, for all sessions of this process. */
  unflushed: UnflushedMemory;
}

export interface LastingExportOptions {
  resume?: ResumeOptions | undefined;
  links: Links;
  signal: AbortSignal;
  log: Log;
  record: SessionRecord;
}

/** An export that lasts as long as its session. */
export interface LastingExport {
  readonly target: Export;
  /** Settles when it is gone, and answers no more. It is safe to ignore. */
  readonly ended: Promise<void>;
  /** Seconds for which what is asked for may wait for a new link. */
  readonly patience: number;
  /** Takes note of what is kept of it: a new link must have that too. */
  keeps(kept: FastExport): void;
  /** Ends the link that it has, with a reason that the other side is told. */
  close(reason: unknown): void;
}

/** Makes an export that goes on over the next link when one is lost; where that cannot be, it ends with its link. */
export function lastingExport(
  first: LinkedExport,
  configuration: Pick<Configuration, "resume" | "resumeForeign" | "readOnly" | "timeout">,
  { resume: options, links, signal, log, record }: LastingExportOptions,
): LastingExport {
  const { remote, introduction } = first;
  const { resume: patience, resumeForeign, readOnly, timeout } = configuration;
  const isReadOnly = readOnly || !remote.write;
  if (!options || patience === 0 || !(introduction || (resumeForeign && isReadOnly))) {
    const close = (reason: unknown) => first.close(reason);
    return { target: remote, ended: remote.closed, patience: 0, keeps: () => {}, close };
  }
  const { nonce, unflushed: memory } = options;
  const succession = new Succession({
    first,
    links,
    nonce,
    patience,
    timeout,
    isReadOnly,
    signal,
    log,
    record,
  });
  const opened = { target: remote, ended: remote.closed, incarnation: introduction?.incarnation };
  const lasting = resume(opened, {
    open: (end, hurry) => succession.open(end, hurry),
    memory,
    log: (line) => log(line, "error"),
  });
  // The other side tries to come back only for a link on which something was asked for.
  if (remote.size > 0) firstSector(remote).catch(() => {});
  succession.isUnflushed = () => lasting.unflushed(0, lasting.size);
  return {
    target: succession.noteChanges(lasting),
    ended: lasting.ended,
    patience,
    keeps: (kept) => {
      succession.kept = kept;
    },
    close: (reason) => succession.current.close(reason),
  };
}

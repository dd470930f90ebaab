import { isWord } from "../../src/nbd/word.ts";

/** What this browser keeps of a session, for a page that is loaded again. */
export interface KeptSession {
  /** By which the gateway knows again who served. A secret. */
  key: string;
  /** The file's name, and its size in bytes. */
  name: string;
  size: number;
  /** Seconds for which the gateway waits when the link is lost. */
  wait: number;
  /** When the link was there, in milliseconds since 1970. */
  seenAt: number;
}

/** The name by which what belongs to a session is kept and held: by gateway and configuration. */
export function nameOfSession(endpoint: string): string {
  const { host, pathname } = new URL(endpoint);
  // What is kept is kept for the page's own host, so that its name need not stand there.
  return `nbd-proxy session ${host === location.host ? "" : host}${pathname}`;
}

/** When the gateway gives the disk up, in milliseconds since 1970. */
export function waitsUntil({ seenAt, wait }: KeptSession): number {
  return seenAt + 1000 * wait;
}

/** What is kept under a name; undefined if that is nothing, or makes no sense. */
export function readSession(name: string): KeptSession | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(name) ?? "null");
    return isSession(kept) ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a session; undefined: forgets it. A browser may have been told to keep nothing: a reloaded page is a stranger then. */
export function writeSession(name: string, session: KeptSession | undefined): void {
  try {
    if (session) localStorage.setItem(name, JSON.stringify(session));
    else localStorage.removeItem(name);
  } catch {
    // Nobody but a reloaded page needs it.
  }
}

function isSession(kept: Partial<KeptSession> | null): kept is KeptSession {
  const isAmount = (value: unknown) => typeof value === "number" && value >= 0;
  return (
    isWord(kept?.key) && typeof kept.name === "string" && [kept.size, kept.wait, kept.seenAt].every(isAmount)
  );
}

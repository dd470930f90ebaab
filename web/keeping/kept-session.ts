import { isWord } from "../../src/nbd/word.ts";

/** What this browser keeps of a session, for a page that is loaded again. */
export interface KeptSession {
  /** By which the gateway knows again who served. A secret. */
  key: string;
  /** The file's name, and its size in bytes. */
  name: string;
  size: number;
  /** Its address, if it is none of this computer: as it was given, without user and password. It may be a secret. */
  url?: string | undefined;
  /** Seconds for which the gateway waits when the link is lost. */
  wait: number;
  /** When the link was there, in milliseconds since 1970. */
  seenAt: number;
}

/**
 * The name by which what belongs to a session is kept and held: by gateway and configuration. A gateway that the page came from
 * has no host in it: it is the same one at the other end of another tunnel. Any other host is never told what one has given.
 *
 * @param here the page's own host and port
 */
export function nameOfSession(endpoint: string, here = location.host): string {
  const { host, pathname, search } = new URL(endpoint);
  return `nbd-proxy session ${host === here ? "" : host}${pathname}${search}`;
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
    isWord(kept?.key) &&
    typeof kept.name === "string" &&
    (kept.url === undefined || typeof kept.url === "string") &&
    [kept.size, kept.wait, kept.seenAt].every(isAmount)
  );
}

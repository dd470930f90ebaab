import { quoted } from "../../streams/quoted.ts";
import { bytesIn, MAX_REASON, shortened } from "../../transport/close-reason.ts";

/** Who has a configuration. */
export interface Occupant {
  /** When its session began. */
  readonly since: Date;
  /** The server's own name for the export; "" if it has not told one. */
  readonly name: string;
  /** The address of the other side; "" on a unix socket. */
  readonly address: string;
  /** Milliseconds since something came from it. */
  readonly silence: number;
  /** Whether its link is lost, and it is waited for. */
  readonly isLost: boolean;
}

/**
 * Tells who has a configuration, in the local time of this machine: `in use since 18:57 by boot.iso from 10.9.0.2, silent for
 * 12 s`, or `lost for 12 s` while it is waited for. It fits into a close reason; a long name is shortened in the middle. A name that could be taken for other words is quoted.
 */
export function inUse({ since, address, silence, isLost, ...occupant }: Occupant, now = new Date()): string {
  // The middle of a very long name is not even looked at.
  const name = occupant.name.replace(/^(.{64}).+(.{64})$/s, "$1$2");
  const seconds = Math.floor(silence / 1000);
  const beginning = `in use since ${timeOf(since, now)}`;
  const from = address === "" ? "" : ` from ${address}`;
  const end = `${from}${seconds > 0 || isLost ? `, ${isLost ? "lost" : "silent"} for ${seconds} s` : ""}`;
  const most = MAX_REASON - bytesIn(`${beginning} by ${end}`);
  // What is quoted is longer than it was.
  for (let room = most; room > 8 && name !== ""; room -= 8) {
    const shown = plainly(shortened(name, room, room >> 1));
    if (bytesIn(shown) <= most) return `${beginning} by ${shown}${end}`;
  }
  return `${beginning}${end}`;
}

/** A name as it is, if it has nothing that separates words or ends them; else quoted. */
function plainly(name: string): string {
  return /^[\p{L}\p{N}._+…-]+$/u.test(name) ? name : quoted(name, MAX_REASON);
}

/** Hours and minutes, with the date if that is not today's. */
function timeOf(date: Date, now: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === now.toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

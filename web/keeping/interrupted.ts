import type { FileHandle } from "./file-handle.ts";
import { isHeld } from "./hold.ts";
import { readHandle, writeHandle } from "./kept-handle.ts";
import { type KeptSession, nameOfSession, readSession, waitsUntil, writeSession } from "./kept-session.ts";

/** A disk on the other machine that waits for this browser. */
export interface Interrupted extends KeptSession {
  /** The name of its configuration. */
  configuration: string;
  /** Where its file is, if the browser has kept that. */
  handle: FileHandle | undefined;
}

/** Finds the disks that were served from this browser, and wait still. Those that another tab serves are its own. */
export async function findInterrupted(
  configurations: readonly string[],
  endpointOf: (configuration: string) => string,
): Promise<Interrupted[]> {
  const found = await Promise.all(
    configurations.map(async (name) => {
      const session = nameOfSession(endpointOf(name));
      if (!readSession(session) || (await isHeld(session))) return undefined;
      return interruptedOf(name, endpointOf(name));
    }),
  );
  return found.filter((one) => one !== undefined);
}

/** The disk that waits for this tab in a configuration, if any does. */
export async function interruptedOf(
  configuration: string,
  endpoint: string,
): Promise<Interrupted | undefined> {
  const name = nameOfSession(endpoint);
  const kept = readSession(name);
  if (!kept) return undefined;
  if (waitsUntil(kept) < Date.now()) return void (await forget(name));
  return { ...kept, configuration, handle: await readHandle(name) };
}

/** Forgets what no other tab holds. */
export async function forgetSession(endpoint: string): Promise<void> {
  const name = nameOfSession(endpoint);
  if (!(await isHeld(name))) await forget(name);
}

/** Asks a person to go on with it. */
export function invitation(interrupted: Interrupted): string {
  const { name, handle } = interrupted;
  const until = timeOf(waitsUntil(interrupted));
  if (!handle) return `Choose ${name} again to go on: the disk waits until ${until}`;
  return `The disk waits for ${name} until ${until}: go on, or choose it again`;
}

/** Hours and minutes, in local time. */
export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

async function forget(name: string): Promise<void> {
  writeSession(name, undefined);
  await writeHandle(name, undefined);
}

import { fileUnasked } from "../keeping/file-handle.ts";
import { findInterrupted, type Interrupted, interruptedOf } from "../keeping/interrupted.ts";
import type { KeptField } from "../keeping/kept-field.ts";
import { waitsUntil } from "../keeping/kept-session.ts";
import type { NbdMediaElement } from "../media/nbd-media.ts";

/**
 * Offers to go on with what was served from this browser before the page was left, each on its card; where the file can be had
 * without a question, it goes on by itself.
 */
export async function goOn(
  names: readonly string[],
  endpointOf: (name: string) => string,
  cardOf: (name: string) => NbdMediaElement | undefined,
  field: KeptField,
): Promise<void> {
  const found = await findInterrupted(names, endpointOf);
  await Promise.all(found.map((one) => goOnWith(one, cardOf(one.configuration), field)));
}

/** Says on a card which file its drive waits for, where another one was refused. */
export async function remind(card: NbdMediaElement, configuration: string): Promise<void> {
  const waiting = await interruptedOf(configuration, card.endpoint);
  if (waiting && !card.state.isRunning) offer(waiting, card);
}

async function goOnWith(
  interrupted: Interrupted,
  card: NbdMediaElement | undefined,
  field: KeptField,
): Promise<void> {
  if (!card || card.state.isRunning) return;
  const { name, size, handle, url } = interrupted;
  offer(interrupted, card);
  if (url !== undefined) return card.goOn();
  const unasked = handle && (await fileUnasked(handle));
  const again = unasked ?? field.find({ name, size });
  // Another file of this name is for a person to choose. What is awaited is served as soon as it is chosen.
  if (again?.name === name && again.size === size && !card.state.isRunning) card.choose(again, handle);
}

function offer(interrupted: Interrupted, card: NbdMediaElement): void {
  const { name, size, handle, url } = interrupted;
  card.interrupted = { name, size, handle, url, until: waitsUntil(interrupted) };
}

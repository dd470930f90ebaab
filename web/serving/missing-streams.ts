import { hasStreams } from "../../src/streams/runtime.ts";

/** Loads what an old browser lacks of streams, from the script beside this one: others need not load it. */
export async function loadMissingStreams(): Promise<void> {
  if (hasStreams) return;
  await import(new URL("./polyfill.js", import.meta.url).href);
}

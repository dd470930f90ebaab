import type { Engine } from "./engine.ts";
import { MediaServer } from "./media-server.ts";
import { loadMissingStreams } from "./missing-streams.ts";
import type { ServingReport } from "./report.ts";
import type { ServingOptions } from "./serving.ts";

/** Serves in the page itself, with the same code that runs in a Worker. */
export async function startInPage(
  options: ServingOptions,
  onReport: (report: ServingReport) => void,
): Promise<Engine> {
  await loadMissingStreams();
  return new MediaServer(options, onReport);
}

/**
 * The script of the Worker that serves: a module. As the script of our Worker it serves what the page tells it to; imported by
 * a page where no Worker can be made, it offers the same to the page, and does nothing else.
 */
import { WORKER_NAME } from "./messages.ts";
import { loadMissingStreams } from "./missing-streams.ts";
import { type PagePort, serveFor } from "./worker-side.ts";

export { startInPage } from "./in-page.ts";

const scope = globalThis as { name?: unknown; document?: unknown };
if (scope.document === undefined && scope.name === WORKER_NAME) {
  serveFor(globalThis as unknown as PagePort, loadMissingStreams());
}

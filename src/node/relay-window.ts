import type { RequestWindow } from "../export/request-window.ts";
import { RELAY_WINDOW } from "../nbd/client/link-window.ts";
import { nextTask } from "../streams/next-task.ts";
import { enlargePipes } from "./pipe-size.ts";

/** A pipe that holds what a relay may have for it, in however many pieces: the kernel may take a page for less than a page. */
const ROOMY = 1 << 20;

/**
 * What a server may be asked for at most whose bytes come through standard input from a relay that is not known: what bmcweb's relay
 * holds, which does not push back. It also spoils what is pending if that is more than half of its buffer while a write
 * to the pipe waits. So it is asked for half of that, unless the pipe is so large that no write waits.
 *
 * The pipes are made larger in a later task, so that what was just written is on its way: loading what it takes needs some
 * milliseconds.
 */
export async function relayWindow(): Promise<RequestWindow> {
  await new Promise<void>(nextTask);
  const [input = 0] = await enlargePipes([0, 1]);
  const { request, outstanding } = RELAY_WINDOW;
  return { request, outstanding: input >= ROOMY ? outstanding : outstanding / 2 };
}

/** Whether this process may have been started by such a relay: websocketd, which pushes back, says what it is. */
export function isUnknownRelay(
  env: NodeJS.ProcessEnv,
  input: { isFIFO(): boolean; isSocket(): boolean },
): boolean {
  return env.GATEWAY_INTERFACE === undefined && (input.isFIFO() || input.isSocket());
}

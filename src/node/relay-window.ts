import type { RequestWindow } from "../export/request-window.ts";
import { RELAY_WINDOW } from "../nbd/client/link-window.ts";

/** A pipe that holds what a relay may have for it, in however many pieces: the kernel may take a page for less than a page. */
const ROOMY = 1 << 20;

/**
 * What a server may be asked for at most whose bytes come through standard input from a relay that is not known: what bmcweb's relay
 * holds, which does not push back. It also spoils what is pending if that is more than half of its buffer while a write
 * to the pipe waits. So through a pipe it is asked for half of that, unless the pipe is so large that no write waits.
 *
 * @param isPipe whether standard input is a pipe, as bmcweb's is, and no socket
 * @param held bytes that it holds; undefined if that is not known
 */
export function relayWindow(isPipe: boolean, held = 0): RequestWindow {
  const { request, outstanding } = RELAY_WINDOW;
  return { request, outstanding: isPipe && held < ROOMY ? outstanding / 2 : outstanding };
}

/** Whether this process may have been started by such a relay: websocketd, which pushes back, says what it is. */
export function isUnknownRelay(
  env: NodeJS.ProcessEnv,
  input: { isFIFO(): boolean; isSocket(): boolean },
): boolean {
  return env.GATEWAY_INTERFACE === undefined && (input.isFIFO() || input.isSocket());
}

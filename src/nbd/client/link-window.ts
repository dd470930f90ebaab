import type { RequestWindow } from "../../export/request-window.ts";
import { checkObject, checkWhole } from "../../streams/check.ts";
import { ExtendedReply, OffsetHole, SimpleReply } from "../messages.ts";

const WINDOW: RequestWindow = { request: 1 << 18, outstanding: 1 << 22 };

/**
 * What relays around first-generation servers hold: four requests of 128 KiB, each with the header of its reply. They drop a
 * connection on which more is pending.
 */
export const RELAY_WINDOW: RequestWindow = { request: 1 << 17, outstanding: 4 * ((1 << 17) + 16) };

/** The least that both may be: the answer to a request that carries nothing may be an error with words. */
const LEAST: RequestWindow = { request: 1 << 12, outstanding: 1 << 14 };

/** Longest requests that are cut to the window are whole pages. */
const PAGE = 1 << 12;

/** The longest headers that a READ is answered with; a first-generation server has simple replies only. */
const HEADERS = ExtendedReply.size + OffsetHole.size;

/**
 * Longest requests are made shorter so that one more fits in the window, if that many times as many bytes are outstanding then:
 * who asks for the length that was wanted causes two requests.
 */
const GAIN = 1.25;

/** @throws TypeError, RangeError when it is not what can be asked for */
export function checkWindow(window: Partial<RequestWindow> | undefined): void {
  if (window === undefined) return;
  checkObject(window, "window");
  const { request = LEAST.request, outstanding = LEAST.outstanding } = window;
  checkWhole(request, "window.request, in bytes,", LEAST.request);
  checkWhole(outstanding, "window.outstanding, in bytes,", LEAST.outstanding);
}

/**
 * What a server is asked for at most: what is wanted, else the default. A server that knows only EXPORT_NAME may be behind a relay of
 * its time, so it is never asked for more than such a relay holds. The longest request fits in the window with its headers. It is
 * shorter than wanted where headers alone keep another one out of a narrow window.
 */
export function linkWindow(isFirstGeneration: boolean, wanted: Partial<RequestWindow> = {}): RequestWindow {
  const most = isFirstGeneration ? RELAY_WINDOW : WINDOW;
  const cut = (key: keyof RequestWindow) => {
    const bytes = wanted[key] ?? most[key];
    return isFirstGeneration ? Math.min(bytes, most[key]) : bytes;
  };
  const [request, outstanding] = [cut("request"), cut("outstanding")];
  const headers = isFirstGeneration ? SimpleReply.size : HEADERS;
  const count = Math.floor(outstanding / (request + headers));
  const fits = Math.floor(outstanding / (count + 1)) - headers;
  const shorter = fits - (fits % PAGE);
  const isBetter = (count + 1) * shorter >= GAIN * count * request;
  return { request: isBetter ? shorter : request, outstanding };
}

/** Whether a window is for a relay that holds little. There nothing may be asked whose answer could be longer than thought. */
export function isNarrow({ outstanding }: RequestWindow): boolean {
  return outstanding < WINDOW.outstanding;
}

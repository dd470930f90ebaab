import { messageOf } from "../streams/message-of.ts";
import { shownUrl, withShownUrls } from "./shown-url.ts";

/**
 * Opens a WebSocket of the runtime's.
 * @throws Error when that is not the URL of one: browsers say what is wrong with the URL in it, and its password
 */
export function openWebSocket(url: string | URL): WebSocket {
  try {
    return new WebSocket(url);
  } catch (cause) {
    const words = messageOf(cause).replaceAll(String(url), shownUrl(url));
    throw new Error(withShownUrls(words), { cause });
  }
}

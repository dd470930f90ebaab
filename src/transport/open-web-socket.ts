import { messageOf } from "../streams/message-of.ts";
import { shownUrl, withShownUrls } from "./shown-url.ts";

/**
 * Opens a WebSocket with the constructor of the runtime.
 * @throws Error when the URL is not valid. Its message shows no password, as a browser's own message would
 */
export function openWebSocket(url: string | URL): WebSocket {
  try {
    return new WebSocket(url);
  } catch (cause) {
    const words = messageOf(cause).replaceAll(String(url), shownUrl(url));
    throw new Error(withShownUrls(words), { cause });
  }
}

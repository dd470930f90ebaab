import { messageOf } from "../streams/message-of.ts";
import { shownUrl, withShownUrls } from "./shown-url.ts";

/**
 * Opens a WebSocket with the constructor of the runtime.
 * @throws Error when the URL or a subprotocol is not valid. Its message shows no password and no subprotocol, which may hold a
 *   token, as a browser's own message would
 */
export function openWebSocket(url: string | URL, protocols: string | string[] = []): WebSocket {
  try {
    return new WebSocket(url, protocols);
  } catch (cause) {
    const words = messageOf(cause).replaceAll(String(url), shownUrl(url));
    const withoutTokens = [protocols].flat().reduce((text, one) => text.replaceAll(one, "…"), words);
    throw new Error(withShownUrls(withoutTokens), { cause });
  }
}

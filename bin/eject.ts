import { connectError, refusal } from "../src/node/connect-error.ts";
import type { Log } from "../src/node/log/log.ts";
import { post } from "../src/node/login/post.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { type AskOptions, askGateway } from "./ask-gateway.ts";

/** Milliseconds that a gateway has for the orderly end of a session: its state hook alone may take 10 s. */
const EJECT_TIME = 60_000;

/**
 * Has a gateway end the session of a configuration in order, and waits for that.
 * @param url of the gateway; default: that of the configuration file, on this machine
 * @throws Error in words, when nothing is attached there, or the gateway refuses
 */
export async function eject(
  name: string,
  url: string | undefined,
  options: AskOptions,
  log: Log,
): Promise<void> {
  await askGateway(url, options, EJECT_TIME, log, async ({ url: at, trust, signal, session }) => {
    const doing = `ejecting "${name}" at ${shownUrl(at)}`;
    const door = new URL(`eject/${encodeURIComponent(name)}`, at);
    const response = await post(door, undefined, trust, signal, session).catch((error: Error) => {
      throw new Error(`${doing}: ${connectError(error, at.protocol).message}`);
    });
    if (response.statusCode !== 204) throw new Error(`${doing}: ${(await refusal(response)).message}`);
    response.resume();
  });
}

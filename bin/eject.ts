import { logIn } from "../src/node/login/log-in.ts";
import { post } from "../src/node/login/post.ts";
import { connectError, refusal } from "../src/node/connect-error.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { type GatewayCredentials } from "./remote.ts";

/** Milliseconds that a gateway has for the orderly end of a session: its state hook may take 10 s. */
const EJECT_TIME = 30_000;

/**
 * Has a gateway end the session of a configuration in order, and waits for that.
 * @param credentials undefined: the gateway at this URL has no login
 * @throws Error in words, when nothing is attached there, or the gateway refuses
 */
export async function eject(name: string, at: URL, credentials: GatewayCredentials | undefined): Promise<void> {
  const trust = credentials?.trust ?? {};
  const signal = AbortSignal.timeout(EJECT_TIME);
  const doing = `ejecting "${name}" at ${shownUrl(at)}`;
  const login = credentials && (await logIn(at.href, { token: credentials.token, ...trust, signal }));
  try {
    const door = new URL(`eject/${encodeURIComponent(name)}`, at);
    const response = await post(door, undefined, trust, signal, login?.session).catch((error: unknown) => {
      throw new Error(`${doing}: ${connectError(error, at.protocol).message}`);
    });
    if (response.statusCode === 204) return response.destroy() as unknown as void;
    throw new Error(`${doing}: ${(await refusal(response)).message}`);
  } finally {
    await login?.logOut();
  }
}

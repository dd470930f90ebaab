import type { IncomingMessage } from "node:http";
import { connectError, refusal } from "../../src/node/connect-error.ts";
import { logIn } from "../../src/node/login/log-in.ts";
import { bodyOf, post } from "../../src/node/login/post.ts";
import { shownUrl } from "../../src/transport/shown-url.ts";
import { logger, onSignals, type Program } from "../program.ts";
import { gatewayCredentials, type RemoteValues, readTrust } from "../remote.ts";
import { type ImageValues, imageOptions } from "./image-arguments.ts";

/** What the command line says beside the two URLs. */
export interface PullValues extends RemoteValues, ImageValues {
  writable: boolean;
  retry?: string | undefined;
  quiet: boolean;
  json: boolean;
}

/** Who is asked, and what shows who asks. */
interface Door {
  readonly url: URL;
  readonly trust: Parameters<typeof post>[2];
  readonly credential: string | undefined;
  leave(): Promise<void>;
}

/** Milliseconds that a gateway has: what the disk replaces may have to end in order first. */
const PULL_TIME = 130_000;

const IN_USE = 409;

/** What makes no sense beside --pull, with the options for an image at a URL: the gateway has no secrets for others. */
const OTHERS = ["writable", "retry", "json", "origin", "insecure", "max-message"] as const;

/**
 * Has a gateway fetch a URL by itself, and waits until its disk is there. Who ends the program before that calls it off.
 * @throws Error in words, without the secrets of the URLs
 */
export async function pull(
  program: Program,
  [image, gateway, ...surplus]: readonly string[],
  values: PullValues,
): Promise<void> {
  if (image === undefined || gateway === undefined || surplus.length > 0) {
    throw new Error("--pull needs the URL of an image and that of a gateway; see nbd-serve --help");
  }
  const [shownImage, shownGateway] = [shownUrl(image), shownUrl(gateway)];
  // Other users of this machine can see a process's arguments.
  process.title = `${program.name} --pull ${shownImage} ${shownGateway}`;
  refuseOthers(values);
  if (!/^https?:/i.test(image)) throw new Error(`--pull: ${shownImage} is not an http:// or https:// URL`);
  const ending = onSignals();
  const signal = AbortSignal.any([ending, AbortSignal.timeout(PULL_TIME)]);
  const doing = `pulling ${shownImage} to ${shownGateway}`;
  try {
    const door = await doorOf(gateway, values, signal);
    try {
      const body = { url: image, takeOver: values["take-over"] };
      const response = await post(door.url, body, door.trust, signal, door.credential).catch(
        (error: Error) => {
          throw connectError(error, door.url.protocol);
        },
      );
      if (response.statusCode !== 202) throw await fault(response, values["take-over"]);
      const { configuration, where } = await bodyOf(response);
      if (!values.quiet) {
        logger(program)(`${shownImage} is the disk of "${configuration}" there, at ${where ?? "its place"}`);
      }
    } finally {
      await door.leave();
    }
  } catch (error) {
    if (ending.aborted) throw new Error(`${doing}: called off`);
    if (signal.aborted) throw new Error(`${doing}: the gateway has not answered for ${PULL_TIME / 1000} s`);
    throw new Error(`${doing}: ${(error as Error).message}`);
  }
}

function refuseOthers(values: PullValues): void {
  const ofImage = Object.keys(imageOptions) as (keyof ImageValues)[];
  const others = [...OTHERS, ...ofImage];
  const given = others.find((name) => values[name] !== undefined && values[name] !== false);
  if (given !== undefined) throw new Error(`--${given} and --pull exclude each other`);
}

/** Finds the door for what is pulled beside the path that names a configuration; ws: and wss: are for gateways without a login. */
async function doorOf(gateway: string, values: PullValues, signal: AbortSignal): Promise<Door> {
  const trust = await readTrust(values);
  if (/^wss?:/i.test(gateway)) {
    const url = new URL(gateway.replace(/^ws/i, "http"));
    return { url: pullDoor(url), trust, credential: undefined, leave: async () => {} };
  }
  const credentials = await gatewayCredentials(gateway, values, trust);
  const login = await logIn(credentials.url.href, { token: credentials.token, ...credentials.trust, signal });
  // The login knows the host by its address where the name could lead elsewhere.
  const url = new URL(login.endpoint.replace(/^ws/i, "http"));
  return {
    url: pullDoor(url),
    trust: credentials.trust,
    credential: login.session,
    leave: () => login.logOut(),
  };
}

function pullDoor(url: URL): URL {
  const name = url.pathname.slice(1 + url.pathname.lastIndexOf("/"));
  return new URL(`pull/${name}`, url);
}

/** Why there is no disk: what the gateway says, or that it is none that can do this. */
async function fault(response: IncomingMessage, takesOver: boolean): Promise<Error> {
  const { statusCode, headers } = response;
  if (!headers["content-type"]?.startsWith("application/json")) return refusal(response);
  const { error } = await bodyOf(response);
  const words = typeof error === "string" && error !== "" ? error : `the gateway answered ${statusCode}`;
  return new Error(statusCode === IN_USE && !takesOver ? `${words}; --take-over ends that session` : words);
}

import { once } from "node:events";
import { version as packageVersion } from "../package.json";
import { failureLog } from "../src/node/failure-log.ts";
import { ResumeState, resumeFile } from "../src/node/resuming/resume-state.ts";
import { listenOn, processBudget } from "../src/node/session/listen.ts";
import { activatedSockets } from "../src/node/socket-activation.ts";
import { stdioTransport } from "../src/node/stdio.ts";
import { serveAgain } from "../src/resuming/serve-again.ts";
import { serve } from "../src/serve.ts";
import type { Transport } from "../src/streams/duplex.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { pathArgument } from "./path-argument.ts";
import { logger, onSignals, readArguments, run, shownWords } from "./program.ts";
import {
  type Remote,
  type RemoteValues,
  refuseRemoteOptions,
  remote,
  remoteFault,
  remoteOptions,
} from "./remote.ts";
import { openFileImage } from "./serve/file-image.ts";
import type { Image } from "./serve/image.ts";
import {
  type ImageValues,
  imageOptions,
  isUrl,
  refuseImageOptions,
  shownImage,
} from "./serve/image-arguments.ts";
import { endBy, onNextInterrupt } from "./serve/interrupt.ts";
import { pull } from "./serve/pull.ts";
import { Telling } from "./serve/telling.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";
import { wholeArgument } from "./whole-argument.ts";

const program = {
  name: "nbd-serve",
  help: `Usage: nbd-serve [OPTION]... IMAGE URL
       nbd-serve [OPTION]... IMAGE -
       nbd-serve --pull IMAGE_URL URL

Serves a disk image, a file, a block device or the http(s) URL of a file, to an nbd-gateway: there it is a disk until you press
Ctrl-C, or the other side ejects it. On a terminal one line shows what is read, how fast, and how much of it.

  nbd-serve image.iso http://127.0.0.1:8000/               to a gateway of yours on this machine
  nbd-serve image.iso 'https://HOST:8000/#TOKEN' --fingerprint AB:CD:...
                                                           to another machine, with what nbd-gateway has printed there
  nbd-serve --writable disk.img https://HOST:8000/0 --token-file FILE
                                                           as its configuration "0"; whoever has the disk can write to it
  nbd-serve https://mirror.example/debian.iso http://127.0.0.1:8000/
                                                           a file on a web server, of which only what is read is fetched
  nbd-serve --json image.iso http://127.0.0.1:8000/ | jq .event
                                                           for a script, which is told what happens
  nbd-serve image.iso ws://127.0.0.1:8080/                 to nbd-proxy behind websocketd, or another relay
  nbdinfo [ nbd-serve image.iso - ]                        to one command, without a gateway

  --writable            let the other side write to IMAGE
  --take-over           end the session that has this configuration, if there is one
  --pull                have the gateway at URL fetch IMAGE_URL by itself, where its "sources" allow that; nbd-serve ends when
                        the disk is there, and the disk stays
  --retry SECONDS       how long to try to have a link again that was lost; 0: not at all. Default 300

  --header 'NAME: VALUE'
                        a header for the web server of IMAGE, and for no other; may be there several times
  --user NAME           who logs in at the web server of IMAGE
  --password-file FILE  the password in FILE; "-": standard input. Default: it is asked for on the terminal
  --image-ca FILE       certificates of the authorities to believe at the web server of IMAGE, in PEM

  --token-file FILE     the token, if URL has none; "-": standard input. Default for this machine: where nbd-gateway keeps it
  --fingerprint SHA256  the only certificate to believe, as nbd-gateway prints it
  --ca FILE             certificates of the authorities to believe, in PEM
  --insecure            believe any certificate of a relay; not together with a token
  --max-message BYTES   the longest message that is sent, for relays that refuse longer ones. Default: no limit
  --origin ORIGIN       the Origin header to send, for relays that check it (websocketd --sameorigin=true)

  --quiet, -q           say nothing but errors
  --json                what happens, as one JSON object a line on standard output, for scripts
  --help, -h; --version

Ctrl-C ends in order: what was asked for is answered, what was written is made safe. Once more, it ends at once.
`,
};

/** Seconds for which a lost link is tried to be had again, unless one says otherwise: as long as a gateway waits. */
const RETRY = "300";

/** What it may be: no timer waits longer. */
const RETRIES = { unit: "seconds", least: 0, most: 2_147_483 };

run(program, async () => {
  const { values, positionals } = readArguments(program, {
    writable: { type: "boolean", default: false },
    pull: { type: "boolean", default: false },
    retry: { type: "string" },
    quiet: { type: "boolean", short: "q", default: false },
    json: { type: "boolean", default: false },
    ...imageOptions,
    ...remoteOptions,
  });
  if (values.pull) return pull(program, positionals, values);
  const [image, endpoint] = positionals;
  if (image === undefined || endpoint === undefined || positionals.length > 2) {
    throw new Error('an IMAGE and a URL, or "-", are needed; see nbd-serve --help');
  }
  const path = pathArgument(image);
  const shown = shownImage(image);
  const where = shownUrl(endpoint);
  // Other users of this machine can see a process's arguments.
  if (where !== endpoint || shown !== image || values.header) {
    process.title = `${program.name} ${shown} ${where}`;
  }
  const isLocal = endpoint === "-";
  if (isLocal) refuseRemoteOptions(values);
  if (isLocal && values.retry !== undefined) throw new Error("--retry is for a URL");
  if (isLocal && values.json) throw new Error("--json is for a URL: standard output is the wire");
  if (!isUrl(image)) refuseImageOptions(values);
  else if (values.writable) throw new Error("--writable is for a file: what is on a web server is read only");
  if (values["password-file"] === "-" && (isLocal || values["token-file"] === "-")) {
    throw new Error(
      `--password-file -: standard input is ${isLocal ? "the wire" : "where the token is"}; name a file`,
    );
  }
  const retry = wholeArgument(values.retry ?? RETRY, "--retry", RETRIES);
  const telling = await Telling.begin(
    { image: shown, to: where, program: packageVersion },
    {
      isQuiet: values.quiet,
      mayBeWatched: !isLocal,
      hasEvents: values.json,
      log: logger(program),
      shown: shownWords,
      prefix: `${program.name}: `,
    },
  );
  await telling.during(() => serveImage({ ...values, image, path, endpoint, where, retry }, telling));
});

/** What the arguments say. */
interface Arguments extends RemoteValues, ImageValues {
  /** As it was written. A URL may have secrets. */
  image: string;
  path: string | Buffer;
  /** A URL, or "-". */
  endpoint: string;
  /** The same, without secrets. */
  where: string;
  writable: boolean;
  retry: number;
}

async function serveImage(given: Arguments, telling: Telling): Promise<void> {
  const { endpoint, where, writable, retry } = given;
  const warn = (line: string) => telling.line(line, "warning");
  const other = endpoint === "-" ? undefined : await remote(endpoint, given, warn);
  const openImage = await imageOpener(given, warn);
  keepYoungGenerationSmall();
  const signal = onSignals();
  telling.heed(signal);
  onNextInterrupt(signal, () => {
    telling.leave();
    endBy("SIGINT");
  });

  const opened = await openImage(signal).catch(unlessEnded);
  if (!opened) return;
  const image: Image = opened;
  const { target, name } = image;
  const shown = shownImage(given.image);
  await telling.open({ size: target.size, isWritable: writable, retry });
  // A fault at a URL says itself where it was.
  const prefix = isUrl(given.image) ? "" : `${shown}: `;
  const failures = failureLog((line) => telling.line(prefix + line, "error"));
  const options = { name, onerror: failures.add };
  const isServing = `serving ${shown}, ${target.size} bytes`;

  /** Serves everybody who connects to the sockets, until a signal comes. */
  async function serveOn(sockets: readonly number[]) {
    const budget = processBudget();
    const counted = telling.over(target);
    const listening = sockets.map((socket) =>
      listenOn(counted, socket, { ...options, budget, log: warn }).catch((cause: unknown) => {
        throw new Error(`descriptor ${socket} is not a listening socket`, { cause });
      }),
    );
    const listeners = await Promise.all(listening);
    telling.serving(isServing);
    if (!signal.aborted) await once(signal, "abort");
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  function serveOver(transport: Transport, to: string) {
    const onTransmission = () => telling.serving(`${isServing}${to}`);
    return serve(transport, telling.over(target), { ...options, signal, onTransmission });
  }

  /** Serves a gateway, or a relay, over one link or as many as it takes. */
  async function serveTo(there: Remote) {
    const onTransmission = () => telling.serving(`${isServing}, to ${where}`);
    if (retry === 0) {
      const link = await there.connect(signal).catch(unlessEnded);
      if (link) await serveOver(link.transport, `, to ${where}`);
      return;
    }
    const state = await ResumeState.open(resumeFile(endpoint), warn);
    try {
      const resuming = await image.resuming(state);
      await serveAgain(telling.over(resuming.target), {
        connect: (signal) => there.connect(signal),
        serve,
        serveOptions: { ...options, onTransmission },
        retry,
        signal,
        medium: image.medium,
        identity: () => resuming.identity(),
        keys: {
          get: () => state.get(),
          async set(key) {
            await state.set(key);
            await resuming.begin();
          },
        },
        onReconnecting: (line) => telling.lost(line),
      }).finally(() => resuming.end());
    } finally {
      state.close();
    }
  }

  function unlessEnded(error: unknown): undefined {
    if (!signal.aborted) throw error;
  }

  try {
    if (other) {
      await serveTo(other).catch((error: unknown) => {
        throw remoteFault(error, endpoint, given["take-over"]);
      });
      return;
    }
    const sockets = activatedSockets();
    if (sockets.length > 0) await serveOn(sockets);
    else await serveOver(stdioTransport(), "");
  } finally {
    failures.end();
    await other?.leave();
    await image.close();
  }
}

/** Understands what the arguments say about the image, before anything is connected; it is opened later. */
async function imageOpener(
  given: Arguments,
  warn: (line: string) => void,
): Promise<(signal: AbortSignal) => Promise<Image>> {
  const { image, path, writable } = given;
  if (!isUrl(image)) return () => openFileImage(image, path, writable);
  const { imageAccess } = await import("./serve/image-access.ts");
  const access = await imageAccess(image, given, warn);
  const { openUrlImage } = await import("./serve/url-image.ts");
  return (signal) => openUrlImage(access, { note: warn, signal });
}

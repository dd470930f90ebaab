import { once } from "node:events";
import { basename } from "node:path";
import { failureLog } from "../src/node/failure-log.ts";
import { openFile } from "../src/node/file.ts";
import { fileIdentity } from "../src/node/resuming/file-identity.ts";
import { OwnWrites, type WriteRecord } from "../src/node/resuming/own-writes.ts";
import { ResumeState, resumeFile } from "../src/node/resuming/resume-state.ts";
import { soleWriter } from "../src/node/resuming/sole-writer.ts";
import { listenOn, processBudget } from "../src/node/session/listen.ts";
import { activatedSockets } from "../src/node/socket-activation.ts";
import { stdioTransport } from "../src/node/stdio.ts";
import { reasonOf } from "../src/node/system-error.ts";
import { serveAgain } from "../src/resuming/serve-again.ts";
import { serve } from "../src/serve.ts";
import type { Transport } from "../src/streams/duplex.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { pathArgument } from "./path-argument.ts";
import { logger, onSignals, readArguments, run } from "./program.ts";
import { type Remote, refuseRemoteOptions, remote, remoteFault, remoteOptions } from "./remote.ts";
import { secondsArgument } from "./seconds-argument.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

const program = {
  name: "nbd-serve",
  help: `Usage: nbd-serve [--writable] [--retry SECONDS] [--take-over] [--token-file FILE] [--fingerprint SHA256] [--ca FILE]
                 IMAGE URL
       nbd-serve [--writable] [--retry SECONDS] [--origin ORIGIN] [--token-file FILE] [--insecure] IMAGE WS-URL
       nbd-serve [--writable] IMAGE -

Serves a disk image to an nbd-gateway, or an nbd-proxy behind a relay, until the other side ends. URL is what nbd-gateway
prints, http://HOST:PORT/#TOKEN or https://HOST:PORT/#TOKEN; its path names the configuration. WS-URL is a relay's. With "-" it
serves on standard input and output, or on the sockets that it was started with, as in:  nbdinfo [ nbd-serve IMAGE - ]

  --writable            let the other side write to IMAGE
  --retry SECONDS       how long to try to have a link again that was lost; 0: not at all. Default 300
  --take-over           end the session that has this configuration, if there is one
  --token-file FILE     the token, if URL has none; "-": standard input. Default for this machine: where nbd-gateway keeps it
  --fingerprint SHA256  the only certificate to believe, as nbd-gateway prints it
  --ca FILE             certificates of the authorities to believe, in PEM
  --insecure            believe any certificate of a relay; not together with a token
  --origin ORIGIN       the Origin header to send, for relays that check it (websocketd --sameorigin=true)
  --help, --version
`,
};

/** Seconds for which a lost link is tried to be had again, unless one says otherwise: as long as a gateway waits. */
const RETRY = "300";

run(program, async () => {
  const log = logger(program);
  const { values, positionals } = readArguments(program, {
    writable: { type: "boolean", default: false },
    retry: { type: "string" },
    ...remoteOptions,
  });
  const [file, endpoint] = positionals;
  if (file === undefined || endpoint === undefined || positionals.length > 2) {
    throw new Error('an IMAGE and a URL, or "-", are needed; see nbd-serve --help');
  }
  const path = pathArgument(file);
  const where = shownUrl(endpoint);
  // Other users of this machine can see a process's arguments.
  if (where !== endpoint) process.title = `${program.name} ${file} ${where}`;
  const isLocal = endpoint === "-";
  if (isLocal) refuseRemoteOptions(values);
  if (isLocal && values.retry !== undefined) throw new Error("--retry is for a URL");
  const retry = secondsArgument(values.retry ?? RETRY, "--retry");
  const other = isLocal ? undefined : await remote(endpoint, values, log);
  keepYoungGenerationSmall();
  const signal = onSignals();

  const url = endpoint;
  const { handle, target, modifiedBefore } = await openFile(path, { writable: values.writable }).catch(
    (error: unknown) => {
      throw new Error(`opening ${file}: ${reasonOf(error)}`);
    },
  );
  const unlock = values.writable
    ? await soleWriter(handle).catch((error: unknown) => {
        throw new Error(`opening ${file}: ${messageOf(error)}`);
      })
    : undefined;
  const failures = failureLog((line) => log(`${file}: ${line}`));
  const options = { name: basename(file), onerror: failures.add };
  const isServing = `serving ${file}, ${target.size} bytes`;

  /** Serves everybody who connects to the sockets, until a signal comes. */
  async function serveOn(sockets: readonly number[]) {
    const budget = processBudget();
    const listening = sockets.map((socket) =>
      listenOn(target, socket, { ...options, budget, log }).catch((cause: unknown) => {
        throw new Error(`descriptor ${socket} is not a listening socket`, { cause });
      }),
    );
    const listeners = await Promise.all(listening);
    log(isServing);
    if (!signal.aborted) await once(signal, "abort");
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  function serveOver(transport: Transport, to: string) {
    return serve(transport, target, { ...options, signal, onTransmission: () => log(`${isServing}${to}`) });
  }

  /** Serves a gateway, or a relay, over one link or as many as it takes. */
  async function serveTo(there: Remote) {
    const onTransmission = () => log(`${isServing}, to ${where}`);
    if (retry === 0) {
      const link = await there.connect(signal).catch(unlessEnded);
      if (link) await serveOver(link.transport, `, to ${where}`);
      return;
    }
    const state = await ResumeState.open(resumeFile(url), log);
    let writes: OwnWrites | undefined;
    try {
      const note = (record: WriteRecord) => state.note(record);
      if (values.writable)
        writes = await OwnWrites.of(handle, { before: state.written, modifiedBefore, note });
      await serveAgain(writes?.watch(target) ?? target, {
        connect: (signal) => there.connect(signal),
        serve,
        serveOptions: { ...options, onTransmission },
        retry,
        signal,
        medium: target,
        identity: () => fileIdentity(handle, { name: options.name, size: target.size, writes }),
        keys: {
          get: () => state.get(),
          async set(key) {
            await state.set(key);
            await writes?.begin();
          },
        },
        onReconnecting: log,
      });
    } finally {
      await writes?.end();
      state.close();
    }
  }

  function unlessEnded(error: unknown): undefined {
    if (!signal.aborted) throw error;
  }

  try {
    if (other) {
      await serveTo(other).catch((error: unknown) => {
        throw remoteFault(error, endpoint, values["take-over"]);
      });
      return;
    }
    const sockets = activatedSockets();
    if (sockets.length > 0) await serveOn(sockets);
    else await serveOver(stdioTransport(), "");
  } finally {
    failures.end();
    await other?.leave();
    await target.flush?.();
    await target.close();
    unlock?.();
  }
});

import { once } from "node:events";
import { basename } from "node:path";
import { connect } from "../src/node/connect.ts";
import { failureLog } from "../src/node/failure-log.ts";
import { openFileExport } from "../src/node/file.ts";
import { listenOn, processBudget } from "../src/node/session/listen.ts";
import { activatedSockets } from "../src/node/socket-activation.ts";
import { stdioTransport } from "../src/node/stdio.ts";
import { reasonOf } from "../src/node/system-error.ts";
import { serve } from "../src/serve.ts";
import type { Transport } from "../src/streams/duplex.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { shownUrl } from "../src/transport/shown-url.ts";
import { pathArgument } from "./path-argument.ts";
import { logger, onSignals, readArguments, run } from "./program.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

const program = {
  name: "nbd-serve",
  help: `Usage: nbd-serve [--writable] [--origin ORIGIN] FILE WS-URL
       nbd-serve [--writable] FILE -

Serves the disk image FILE to an nbd-gateway, or an nbd-proxy behind a relay, until the other side ends; with "-"
on standard input and output, or on the sockets that it was started with, as in:  nbdinfo [ nbd-serve FILE - ]

  --writable       let the other side write to FILE
  --origin ORIGIN  the Origin header to send, for relays that check it (websocketd --sameorigin=true)
  --help, --version
`,
};

run(program, async () => {
  const log = logger(program);
  const { values, positionals } = readArguments(program, {
    writable: { type: "boolean", default: false },
    origin: { type: "string" },
  });
  const [file, endpoint] = positionals;
  if (file === undefined || endpoint === undefined || positionals.length > 2) {
    throw new Error("a FILE and a WS-URL are needed; see nbd-serve --help");
  }
  const path = pathArgument(file);
  const where = shownUrl(endpoint);
  // Other users of this machine can see a process's arguments.
  if (where !== endpoint) process.title = `${program.name} ${file} ${where}`;
  keepYoungGenerationSmall();
  const signal = onSignals();

  const target = await openFileExport(path, { writable: values.writable }).catch((error: unknown) => {
    throw new Error(`opening ${file}: ${reasonOf(error)}`);
  });
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

  try {
    if (endpoint !== "-") {
      const transport = connect(endpoint, { ...(values.origin && { origin: values.origin }) });
      await serveOver(transport, `, to ${where}`).catch((error: unknown) => {
        throw new Error(`${where}: ${messageOf(error)}`);
      });
      return;
    }
    const sockets = activatedSockets();
    if (sockets.length > 0) await serveOn(sockets);
    else await serveOver(stdioTransport(), "");
  } finally {
    failures.end();
    await target.flush?.();
    await target.close();
  }
});

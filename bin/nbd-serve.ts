import { once } from "node:events";
import { basename } from "node:path";
import { connect } from "../src/node/connect.ts";
import { openFileExport } from "../src/node/file.ts";
import { listenOn } from "../src/node/session/listen.ts";
import { activatedSocket } from "../src/node/socket-activation.ts";
import { stdioTransport } from "../src/node/stdio.ts";
import { reasonOf } from "../src/node/system-error.ts";
import { serve } from "../src/serve.ts";
import { logger, onSignals, readArguments, run } from "./program.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

const program = {
  name: "nbd-serve",
  help: `Usage: nbd-serve [--writable] [--origin ORIGIN] FILE WS-URL
       nbd-serve [--writable] FILE -

Serves the disk image FILE to an nbd-gateway, or an nbd-proxy behind a relay, until the other side ends; with "-"
on standard input and output, or on the socket that it was started with, as in:  nbdinfo [ nbd-serve FILE - ]

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
  keepYoungGenerationSmall();
  const signal = onSignals();

  const target = await openFileExport(file, { writable: values.writable }).catch((error: unknown) => {
    throw new Error(`opening ${file}: ${reasonOf(error)}`);
  });
  const socket = endpoint === "-" ? activatedSocket() : undefined;
  if (socket !== undefined) {
    const listener = await listenOn(target, socket, { name: basename(file) });
    log(`serving ${file}, ${target.size} bytes`);
    if (!signal.aborted) await once(signal, "abort");
    await listener.close();
    await target.flush?.();
    await target.close();
    return;
  }
  const transport =
    endpoint === "-"
      ? stdioTransport()
      : connect(endpoint, { ...(values.origin && { origin: values.origin }) });
  try {
    await serve(transport, target, {
      name: basename(file),
      signal,
      onTransmission: () =>
        log(`serving ${file}, ${target.size} bytes${endpoint === "-" ? "" : `, to ${endpoint}`}`),
    });
  } catch (error) {
    throw new Error(endpoint === "-" ? (error as Error).message : `${endpoint}: ${(error as Error).message}`);
  } finally {
    await target.flush?.();
    await target.close();
  }
});

import { fstatSync } from "node:fs";
import type { Configuration } from "../src/node/config/config.ts";
import { enlargePipe } from "../src/node/pipe-size.ts";
import { ProcessMemory } from "../src/node/process-memory.ts";
import { recordToFile } from "../src/node/recording.ts";
import { isUnknownRelay, relayWindow } from "../src/node/relay-window.ts";
import { processBudget } from "../src/node/session/listen.ts";
import { type SessionOptions, session } from "../src/node/session/session.ts";
import { judgeStateHook } from "../src/node/session/state-hook.ts";
import { stdioTransport } from "../src/node/stdio.ts";
import { nextTask } from "../src/streams/next-task.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

/**
 * Runs a session over standard input and output, and records it to the file `record`, if one is named. At most `memory` bytes
 * are kept for later use.
 *
 * It is a module of its own for the sake of `nbd-proxy --metadata`, which consoles run at every page load and which starts faster
 * without it (test/bench/startup.ts).
 */
export async function proxySession(
  configuration: Configuration,
  record: string | Buffer | undefined,
  { memory: bytes, log, signal }: Pick<SessionOptions, "log" | "signal"> & { memory: number },
): Promise<void> {
  judgeStateHook(configuration);
  keepYoungGenerationSmall();
  const budget = processBudget();
  const memory = new ProcessMemory(bytes, budget);
  try {
    const input = fstatSync(0);
    const transport = stdioTransport();
    // In a later task, so that the greeting is on its way: loading what it takes needs some milliseconds.
    const pipes = new Promise<void>(nextTask).then(() => Promise.all([enlargePipe(0), enlargePipe(1)]));
    const options: SessionOptions = {
      ...{ budget, memory: memory.kept, log, signal },
      silence: configuration.keepAlive,
      received: () => transport.received,
      ...(isUnknownRelay(process.env, input) && {
        window: async () => relayWindow(input.isFIFO(), (await pipes)[0]),
      }),
    };
    if (record === undefined) return await session(transport, configuration, options).ended;
    const title = "An NBD session, recorded by nbd-proxy as the client (C) of a server (S)";
    const recording = await recordToFile(transport, "client", record, title);
    try {
      await session(recording.transport, configuration, options).ended;
    } finally {
      await recording.end();
    }
  } finally {
    memory.end();
  }
}

import type { Configuration } from "../src/node/config/config.ts";
import { recordToFile } from "../src/node/recording.ts";
import { processBudget } from "../src/node/session/listen.ts";
import { type SessionOptions, session } from "../src/node/session/session.ts";
import { stdioTransport } from "../src/node/stdio.ts";
import { keepYoungGenerationSmall } from "./small-young-generation.ts";

/**
 * The work of nbd-proxy: a session over standard input and output, recorded to the file `record` where one is named.
 *
 * A module of its own, loaded when it is needed: `nbd-proxy --metadata`, which consoles run at every page load, does
 * without (test/bench/startup.ts).
 */
export async function proxySession(
  configuration: Configuration,
  record: string | undefined,
  { log, signal }: Pick<SessionOptions, "log" | "signal">,
): Promise<void> {
  keepYoungGenerationSmall();
  const options = { budget: processBudget(), log, signal };
  if (record === undefined) return session(stdioTransport(), configuration, options);
  const title = "An NBD session, recorded by nbd-proxy as the client (C) of a server (S)";
  const recording = await recordToFile(stdioTransport(), "client", record, title);
  try {
    await session(recording.transport, configuration, options);
  } finally {
    await recording.end();
  }
}

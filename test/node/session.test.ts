import { connect } from "node:net";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { parseConfig } from "../../src/node/config/config.ts";
import { session } from "../../src/node/session/session.ts";
import { socketTransport } from "../../src/node/socket.ts";
import { ByteBudget } from "../../src/streams/budget.ts";
import { deferred } from "../../src/streams/deferred.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { Sandbox, suite, until, within } from "../harness.ts";

const tests = suite("session");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());

/** A session whose remote is `target`, on a socket of its own. */
function startSession(name: string, target: Parameters<typeof nbdServer>[0]) {
  const path = sandbox.path(`${name}.sock`);
  const config = parseConfig(
    "test",
    JSON.stringify({ configurations: { [name]: { listen: `unix:${path}` } } }),
  );
  const [near, far] = transportPair();
  join(far, nbdServer(target)).catch(() => {});
  const ending = new AbortController();
  const lines: string[] = [];
  const { ended: over } = session(near, config.configurations.get(name)!, {
    budget: new ByteBudget(1 << 24),
    log: (line) => lines.push(line),
    signal: ending.signal,
  });
  const client = () => nbdClient(socketTransport(connect({ path, allowHalfOpen: true })));
  return { over, lines, client, far, end: () => ending.abort() };
}

tests("at an orderly end the last writes are answered before the FLUSH that covers them", async () => {
  const memory = memoryExport(new Uint8Array(4096));
  const seen: string[] = [];
  const begun = deferred();
  const { over, lines, client, end } = startSession("writes", {
    ...memory,
    async write(offset, data) {
      begun.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await memory.write!(offset, data);
      seen.push("written");
    },
    async flush() {
      seen.push("flushed");
    },
  });
  await until("the session is ready", () => lines.length === 1);
  const local = await client();
  const written = local.write!(0, new Uint8Array(512));
  written.catch(() => {});
  await within(5000, "the write", begun.promise);
  end();
  await within(5000, "the end", over);
  await written;
  assert.equal(seen, ["written", "flushed"]);
});

tests("a remote that leaves in order during the orderly end is no failure", async () => {
  const { over, lines, far, end } = startSession("leaving", memoryExport(new Uint8Array(4096)));
  await until("the session is ready", () => lines.length === 1);
  end();
  far.close();
  await within(5000, "the end", over);
});

tests.run();

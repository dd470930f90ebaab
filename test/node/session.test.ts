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
import { failure, isPending, sequence, settled } from "../bytes.ts";
import { Sandbox, suite, until, within } from "../harness.ts";

const tests = suite("session");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());

/** What a session is made of: a configuration with a socket of its own, and options. */
function parts(name: string) {
  const path = sandbox.path(`${name}.sock`);
  const config = parseConfig(
    "test",
    JSON.stringify({ configurations: { [name]: { listen: `unix:${path}` } } }),
  );
  const ending = new AbortController();
  const lines: string[] = [];
  const options = {
    budget: new ByteBudget(1 << 24),
    log: (line: string) => void lines.push(line),
    signal: ending.signal,
  };
  return { path, configuration: config.configurations.get(name)!, options, ending, lines };
}

/** A session whose remote is `target`, on a socket of its own. */
function startSession(name: string, target: Parameters<typeof nbdServer>[0]) {
  const { path, configuration, options, ending, lines } = parts(name);
  const [near, far] = transportPair();
  join(far, nbdServer(target)).catch(() => {});
  const running = session(near, configuration, options);
  const { ended: over } = running;
  const client = () => nbdClient(socketTransport(connect({ path, allowHalfOpen: true })));
  return { running, over, lines, client, far, path, end: () => ending.abort() };
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

tests("the handle tells the states in order, and what there is to tell in each", async () => {
  const { running, over, client, path, end } = startSession("states", memoryExport(sequence(4096)));
  const states: string[] = [running.state];
  const listening = deferred();
  running.onstate = (state) => {
    states.push(state);
    if (state === "attached") listening.resolve();
  };
  assert.is(running.exported, undefined);
  assert.is(running.where, undefined);
  await within(5000, "attached", listening.promise);
  assert.equal(running.exported, { name: "", size: 4096, isWritable: true });
  assert.is(running.where, `unix:${path}`);
  const local = await client();
  await local.read(0, 512);
  await local.close();
  assert.is(running.counts.of("read").bytes, 512);
  assert.is(running.state, "attached");
  end();
  await within(5000, "the end", over);
  assert.equal(states, ["connecting", "attaching", "attached", "ending", "ended"]);
  assert.is(running.where, undefined);
  assert.is(running.counts.of("read").bytes, 512, "what was done can be read afterwards");
});

tests("a listener to the state that fails is logged, and disturbs nothing", async () => {
  const { running, over, lines, end } = startSession("listener", memoryExport(new Uint8Array(4096)));
  running.onstate = () => {
    throw new Error("no such page");
  };
  await until("the session is ready", () => running.state === "attached");
  end();
  await within(5000, "the end", over);
  assert.ok(lines.includes("a listener to the session's state failed: no such page"), lines.join("\n"));
});

tests("a session asks its supply for one link, and ends with it", async () => {
  const { configuration, options, lines } = parts("supply");
  let asked = 0;
  const [near, far] = transportPair();
  join(far, nbdServer(memoryExport(new Uint8Array(4096)))).catch(() => {});
  const running = session(
    async () => {
      asked++;
      return near;
    },
    configuration,
    options,
  );
  await until("the session is ready", () => running.state === "attached");
  far.close();
  await within(5000, "the end", running.ended);
  assert.is(running.state, "ended");
  assert.is(asked, 1);
  assert.is(lines.length, 1);
});

tests("a supply without a link is an end in order, and one that fails is not", async () => {
  const { configuration, options } = parts("empty");
  await within(5000, "the end", session(async () => undefined, configuration, options).ended);
  const reason = new Error("nobody listens");
  const running = session(() => Promise.reject(reason), configuration, options);
  assert.is(await failure(running.ended), reason);
  assert.is(running.state, "ended");
});

tests("a session that has no place asks for no link; a transport stays the caller's", async () => {
  const { configuration, options } = parts("placeless");
  const reason = new Error("there is no room");
  const places = { look: () => Promise.reject(reason), claim: () => Promise.reject(reason) };
  let asked = 0;
  const links = async () => {
    asked++;
    return undefined;
  };
  assert.is(await failure(session(links, configuration, { ...options, places }).ended), reason);
  assert.is(asked, 0);
  const [near] = transportPair();
  assert.is(await failure(session(near, configuration, { ...options, places }).ended), reason);
  assert.ok(await isPending(near.closed));
});

tests("the signal ends a session that waits for a link", async () => {
  const { configuration, options, ending } = parts("waiting");
  const running = session(() => new Promise(() => {}), configuration, options);
  await settled();
  assert.is(running.state, "connecting");
  ending.abort();
  await within(5000, "the end", running.ended);
});

tests.run();

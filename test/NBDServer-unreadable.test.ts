import { once } from "node:events";
import { openAsBlob } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { NBDServer, type NBDServerState } from "../src/NBDServer.ts";
import { nbdClient } from "../src/nbd/client/nbd-client.ts";
import { webSocket } from "../src/transport/websocket.ts";
import { failure, sequence } from "./bytes.ts";
import { Sandbox, suite, until } from "./harness.ts";

const tests = suite("NBDServer of a file that cannot be read");

// What a browser has, and Node 20 has not.
Object.assign(globalThis, { WebSocket });

let sandbox: Sandbox;
let relay: WebSocketServer;
let url: string;

tests.before(async () => {
  sandbox = new Sandbox();
  relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`;
});
tests.after(async () => {
  relay.close();
  await sandbox.end();
});

/** A server of a file at a path, and all that it tells. */
async function serverOf(path: string) {
  await writeFile(path, sequence(1 << 16));
  const server = new NBDServer(url, new File([await openAsBlob(path)], "x"), { cache: 0 });
  const states: NBDServerState[] = [];
  const lines: string[] = [];
  server.onstate = (state) => states.push(state);
  server.onlog = (line) => lines.push(line);
  return { server, states, lines };
}

tests("says so when reads fail, with one line, and when they succeed again", async () => {
  const path = sandbox.path("image");
  const { server, states, lines } = await serverOf(path);
  const connection = once(relay, "connection");
  server.start();
  const [socket] = (await connection) as [WebSocket];
  const remote = await nbdClient(webSocket(socket));
  assert.equal(await remote.read(0, 10), sequence(10));
  await rename(path, `${path} aside`);
  for (const offset of [4096, 8192, 12288]) await failure(remote.read(offset, 10));
  assert.is(server.state, "unreadable");
  const told = lines.filter((line) => line.startsWith("reading "));
  assert.is(told.length, 1);
  assert.match(told[0]!, /^reading 10 bytes at 4096: the file was /);
  await rename(`${path} aside`, path);
  await until("it serves again", () => server.state === "serving");
  assert.is(lines.at(-1), "reads succeed again; 3 had failed");
  assert.equal(await remote.read(4096, 10), sequence(10, 4096));
  await remote.close();
  await until("its end", () => server.state === "ended");
  assert.equal(states, ["connecting", "waiting", "serving", "unreadable", "serving", "ended"]);
});

tests("a file that is gone at the start is not offered to anybody", async () => {
  const path = sandbox.path("gone");
  const { server, states, lines } = await serverOf(path);
  await rename(path, `${path} aside`);
  const came: unknown[] = [];
  relay.on("connection", (socket) => came.push(socket));
  server.start();
  await until("its end", () => server.state === "failed");
  assert.match(lines.at(-1)!, /^the file was /);
  assert.equal(states, ["connecting", "failed"]);
  assert.is(came.length, 0);
});

tests.run();

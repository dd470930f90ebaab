/** What anybody gets who can open a WebSocket to the gateway: neither its memory nor the others' time. */
import { setImmediate as turn } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Sandbox, until } from "../harness.ts";
import { eachWay } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";
import { emptyFrame, header, RawWebSocket } from "./raw-web-socket.ts";
import { fewest, turnsUntil } from "./turns.ts";

const tests = eachWay("frames of strangers");

const MIB = 1 << 20;
const CONNECTIONS = 16;

let sandbox: Sandbox;
let here: GatewayHere;
let sockets: RawWebSocket[];

tests.before.each(async ({ hasLogin }) => {
  sandbox = new Sandbox();
  sockets = [];
  const names = Array.from({ length: CONNECTIONS }, (_, i) => `c${i}`);
  const configurations = Object.fromEntries(
    names.map((name) => [name, { listen: `unix:${sandbox.path(`${name}.sock`)}` }]),
  );
  here = await gatewayHere(sandbox, configurations, { hasLogin });
});

tests.after.each(async () => {
  for (const { socket } of sockets) socket.destroy();
  await here.running.close();
  await sandbox.end();
});

/** Opens a WebSocket for each path. */
async function open(paths: readonly string[]): Promise<RawWebSocket[]> {
  const opened = paths.map((path) => new RawWebSocket(here.port, path, here.headers));
  sockets.push(...opened);
  await until("the WebSockets are open", () => opened.every(({ isOpen }) => isOpen));
  return opened;
}

const each = Array.from({ length: CONNECTIONS }, (_, i) => `/c${i}`);

for (const [what, begin, frame] of [
  ["empty messages", Buffer.alloc(0), emptyFrame(0x82)],
  ["empty frames of one message", emptyFrame(0x02), emptyFrame(0x00)],
  ["empty pongs", Buffer.alloc(0), emptyFrame(0x8a)],
] as const) {
  tests(
    `${what} on ${CONNECTIONS} connections: about a thousand in a turn, and others have theirs`,
    async () => {
      const count = 30_000;
      const clients = await open(each);
      const flood = Buffer.concat([begin, ...Array<Buffer>(count).fill(frame), emptyFrame(0x89)]);
      for (const { socket } of clients) socket.write(flood);
      const isAnswered = ({ pongs }: RawWebSocket) => pongs > 0;
      const over = (async () => {
        while (!clients.every(isAnswered)) await turn();
      })();
      const answer = fetch(new URL("/metadata", here.running.url), { headers: here.headers }).then(
        (response) => {
          assert.is(response.status, 200);
          return clients.some((client) => !isAnswered(client));
        },
      );
      const { turns } = await turnsUntil(over);
      assert.ok(turns >= fewest(CONNECTIONS * count), `${turns} turns`);
      assert.ok(await answer, "whoever asks in between is answered in between");
    },
  );
}

tests("pings whose answers are not read are not answered one by one", async () => {
  const [client] = await open(["/c0"]);
  client!.socket.pause();
  const count = 100_000;
  const ping = Buffer.concat([header(0x89, 125), Buffer.alloc(125)]);
  const last = Buffer.concat([header(0x89, 4), Buffer.from([1, 2, 3, 4])]);
  const sent = Buffer.concat([...Array<Buffer>(count).fill(ping), last]);
  await new Promise<void>((resolve) => client!.socket.write(sent, () => resolve()));
  client!.socket.resume();
  await until("the answer to the last one", () => client!.frames.at(-1)?.payload.byteLength === 4);
  // They were sent in pieces of 64 KiB at most, and what came in one piece has at most two answers.
  assert.ok(client!.pongs < count / 50, `${client!.pongs} pongs`);
});

for (const [what, path, frame] of [
  ["unfinished text", "/c0", header(0x81, 32 * MIB)],
  ["unfinished text in two frames", "/c0", Buffer.concat([header(0x01, 0), header(0x80, 32 * MIB)])],
  ["unfinished text where there is nothing", "/nowhere", header(0x81, 32 * MIB)],
  ["an unfinished message where there is nothing", "/nowhere", header(0x82, MIB)],
] as const) {
  tests(`${what}, on 20 connections: nothing of it is held`, async () => {
    const clients = await open(Array<string>(20).fill(path));
    const before = process.memoryUsage().arrayBuffers;
    const payload = Buffer.alloc(MIB - 1);
    const parts = frame.readUInt8(0) === 0x82 ? 1 : 4;
    for (const { socket } of clients) {
      socket.write(frame);
      for (let i = 0; i < parts; i++) socket.write(payload);
    }
    let most = 0;
    await until("the end of each", () => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      return clients.every(({ isClosed }) => isClosed);
    });
    assert.ok(most < 4 * MIB, `${most} bytes`);
    assert.ok(clients.every(({ close }) => close));
  });
}

tests("text is told what is wrong, and so is whoever reads the log", async () => {
  const [client] = await open(["/c0"]);
  client!.socket.write(header(0x81, 32 * MIB));
  await until("the close frame", () => client!.close !== undefined);
  const words = "the other side sent text, but NBD needs binary messages (websocketd: use --binary)";
  assert.equal(client!.close, { code: 1003, words });
  await until("the log", () => here.log.some((line) => line.endsWith(words)));
  // It does not answer; the gateway ends it all the same.
  await until("the end", () => client!.isClosed, 3000);
});

for (const [what, bytes] of [
  ["5 bytes in 16 bits", [0x82, 0xfe, 0, 5]],
  ["125 bytes in 16 bits", [0x82, 0xfe, 0, 125]],
  ["5 bytes in 64 bits", [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5]],
  ["65,535 bytes in 64 bits", [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]],
  ["5 bytes in 64 bits, the highest of which is set", [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 5]],
  ["a ping of 5 bytes in 16 bits", [0x89, 0xfe, 0, 5]],
  ["a close frame of 2 bytes in 16 bits", [0x88, 0xfe, 0, 2]],
] as const) {
  tests(`a length that is not in its shortest form is refused: ${what}`, async () => {
    const [client] = await open(["/c0"]);
    client!.socket.write(Buffer.from([...bytes, 1, 2, 3, 4]));
    await until("the close frame", () => client!.close !== undefined);
    assert.is(client!.close?.code, 1002);
    await until("the log", () => here.log.some((line) => line.includes("a WebSocket frame whose length")));
  });
}

tests.run();

/** A page's server that comes back over a new link. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { NBDServer, type PageServerOptions } from "../src/NBDServer.ts";
import { type BegunHandshake, beginHandshake } from "../src/nbd/client/begun-handshake.ts";
import { newWord } from "../src/nbd/word.ts";
import type { Transport } from "../src/streams/duplex.ts";
import { webSocket } from "../src/transport/websocket.ts";
import { sequence } from "./bytes.ts";
import { until } from "./harness.ts";

const tests = suite("NBDServer over one link after another");

// What a browser has, and Node 20 has not.
Object.assign(globalThis, { WebSocket, File: globalThis.File ?? class extends Blob {} });

/** A gateway, behind a connection that can be cut. */
async function setUp(options: PageServerOptions = {}, file: Blob = new Blob([sequence(1 << 16)])) {
  const gateway = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "nbd" });
  await once(gateway, "listening");
  const sockets: WebSocket[] = [];
  const transports: Transport[] = [];
  const asked: (string | undefined)[] = [];
  gateway.on("connection", (socket, { headers }) => {
    sockets.push(socket);
    // At once: what comes in before anybody listens is lost.
    transports.push(webSocket(socket));
    asked.push(headers["sec-websocket-protocol"]);
  });
  const connections = new Set<Socket>();
  const cable = createServer((near) => {
    const far = connect((gateway.address() as AddressInfo).port, "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      connections.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        connections.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }).listen(0, "127.0.0.1");
  await once(cable, "listening");
  const url = `ws://127.0.0.1:${(cable.address() as AddressInfo).port}/`;
  const server = new NBDServer(url, file, { retry: 60, ...options });
  const states: string[] = [];
  const lines: string[] = [];
  server.onstate = (state) => states.push(state);
  server.onlog = (line) => lines.push(line);
  const nonce = newWord();
  return {
    server,
    states,
    lines,
    sockets,
    asked,
    url,
    /** The gateway's side of the link. */
    async begin(index: number): Promise<BegunHandshake> {
      await until(`link ${index}`, () => sockets.length > index);
      return beginHandshake(transports[index]!, { introduce: { nonce, wait: 60 } });
    },
    cut() {
      for (const socket of connections) socket.destroy();
    },
    end() {
      server.stop();
      cable.close();
      gateway.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

tests("the connection is cut, and a new one made; the state and a line say so", async () => {
  const own = new File([sequence(1 << 16)], "disk.iso", { lastModified: 1_700_000_000_000 });
  const { server, states, lines, begin, cut, end } = await setUp({}, own);
  server.start();
  const begun = await begin(0);
  const key = newWord();
  const { introduction } = begun;
  assert.equal([introduction!.name, introduction!.modified], ["disk.iso", 1_700_000_000_000]);
  const first = await begun.finish({ key });
  assert.equal(await first.read(0, 4096), sequence(4096));
  for (const index of [1, 2]) {
    cut();
    const again = await begin(index);
    assert.ok(again.provesKey(key));
    assert.equal(again.introduction!.samples, introduction!.samples);
    assert.is(again.introduction!.incarnation, introduction!.incarnation);
    const remote = await again.finish();
    assert.equal(await remote.read(4096, 4096), sequence(4096, 4096));
    if (index === 2) await remote.close();
  }
  await until("the end", () => server.state === "ended");
  assert.equal(states, [
    "connecting",
    "waiting",
    "serving",
    "reconnecting",
    "serving",
    "reconnecting",
    "serving",
    "ended",
  ]);
  assert.is(lines.filter((line) => line.startsWith("the link was lost, trying for 60 s: ")).length, 2);
  assert.equal(server.counts, { reads: 3, bytesRead: 3 * 4096 }, "samples do not count");
  end();
});

tests("a new server with the same keys, as of a reloaded page, proves the key", async () => {
  let kept: string | undefined;
  const resumeKeys = {
    get: () => kept,
    set(key: string | undefined) {
      kept = key;
    },
  };
  const { server, url, begin, end } = await setUp({ resumeKeys });
  server.start();
  const key = newWord();
  await (await begin(0)).finish({ key });
  assert.is(kept, key);
  const reloaded = new NBDServer(url, new Blob([sequence(1 << 16)]), { retry: 60, resumeKeys });
  reloaded.start();
  const again = await begin(1);
  assert.ok(again.provesKey(key));
  await (await again.finish()).read(0, 512);
  reloaded.stop();
  await until("its end", () => reloaded.state === "ended");
  assert.is(kept, undefined, "stopped, nobody waits for it");
  end();
});

tests("a session that was taken over is not taken back", async () => {
  const { server, begin, sockets, asked, cut, end } = await setUp({ protocols: ["nbd", "take-over"] });
  server.start();
  await (await (await begin(0)).finish()).read(0, 512);
  cut();
  await (await (await begin(1)).finish()).read(0, 512);
  assert.equal(asked, ["nbd,take-over", "nbd"], "it takes over once");
  sockets[1]!.close(4001, "taken over by 10.9.0.3");
  await until("the end", () => server.state === "failed");
  assert.match((server.error as Error).message, /taken over by 10\.9\.0\.3/);
  assert.is(sockets.length, 2);
  end();
});

tests("without the option nothing is tried again, and nobody is introduced", async () => {
  const { server, states, begin, cut, end } = await setUp({ retry: 0 });
  server.start();
  const begun = await begin(0);
  assert.is(begun.introduction, undefined);
  await (await begun.finish()).read(0, 512);
  cut();
  await until("the end", () => ["ended", "failed"].includes(server.state));
  assert.not(states.includes("reconnecting"));
  end();
});

tests("stopped while it waits, it ends", async () => {
  const { server, begin, end } = await setUp();
  server.start();
  await (await (await begin(0)).finish()).read(0, 512);
  server.onstate = (state) => {
    if (state === "reconnecting") server.stop();
  };
  end();
  await until("the end", () => server.state === "ended");
});

tests(
  "a file that was changed meanwhile, which its browser does not notice: the gateway is told",
  async () => {
    // As in Firefox: new bytes, where size and time stay the old ones.
    const bytes = sequence(1 << 16);
    const file = new Blob([bytes]);
    let isChanged = false;
    const slice = file.slice.bind(file);
    file.slice = (from, to) =>
      isChanged ? new Blob([new Uint8Array((to ?? 0) - (from ?? 0))]) : slice(from, to);
    const { server, begin, cut, end } = await setUp({}, file);
    server.start();
    const begun = await begin(0);
    assert.is(begun.introduction!.changed, undefined);
    await (await begun.finish()).read(0, 512);
    isChanged = true;
    cut();
    const { introduction } = await begin(1);
    assert.match(introduction!.changed!, /^the file was changed since it was chosen/);
    assert.not.equal(introduction!.samples, begun.introduction!.samples);
    end();
  },
);

tests("retry is checked", () => {
  for (const retry of [-1, Number.NaN, "300" as unknown as number]) {
    assert.throws(() => new NBDServer("ws://127.0.0.1/", new Blob([]), { retry }), /retry, in seconds,/);
  }
});

tests.run();

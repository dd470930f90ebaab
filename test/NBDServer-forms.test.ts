/** The ways in which a page says where its server serves, and what it hears of the WebSocket. */
import { once } from "node:events";
import { openAsBlob } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { NBDServer, type PageServerOptions, type ServingPlace } from "../src/NBDServer.ts";
import { nbdClient } from "../src/nbd/client/nbd-client.ts";
import type { Transport } from "../src/streams/duplex.ts";
import { WebSocketError, webSocket } from "../src/transport/websocket.ts";
import { sequence } from "./bytes.ts";
import { Sandbox, suite, until, within } from "./harness.ts";

interface Scene {
  relay: WebSocketServer;
  url: string;
  /** The relay's side of each connection. */
  sockets: WebSocket[];
  transports: Transport[];
  used: Set<number>;
  /** The subprotocols that were asked for. */
  asked: (string | undefined)[];
}

const tests = suite<Scene>("where NBDServer serves, and what it tells");

// What a browser has, and Node 20 has not.
Object.assign(globalThis, { WebSocket, File: globalThis.File ?? class extends Blob {} });

tests.before.each(async (context) => {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await once(relay, "listening");
  const sockets: WebSocket[] = [];
  const transports: Transport[] = [];
  const asked: (string | undefined)[] = [];
  relay.on("connection", (socket, { headers }) => {
    sockets.push(socket);
    // At once: what comes in before anybody listens is lost.
    transports.push(webSocket(socket));
    asked.push(headers["sec-websocket-protocol"]);
  });
  const url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/vm/0/0?secret`;
  Object.assign(context, { relay, url, sockets, transports, used: new Set(), asked });
});
tests.after.each(({ relay, sockets }) => {
  for (const socket of sockets) socket.terminate();
  relay.close();
});

const SIZE = 1 << 18;
const image = () => new Blob([sequence(SIZE)]);

/** What a server tells, in order. */
function heard(server: NBDServer): string[] {
  const events: string[] = [];
  server.onstate = (state) => events.push(state);
  server.socketStarted = () => events.push("started");
  server.socketClosed = (code) => events.push(`closed ${code}`);
  server.errorReadingFile = () => events.push("unreadable file");
  return events;
}

const isOver = (events: string[]) => () => events.some((event) => event.startsWith("closed"));

/** The other side of connection `index`, by default the first one that nobody has used. */
async function disk({ transports, used }: Scene, index = used.size) {
  await until("the connection", () => transports.length > index);
  used.add(index);
  return within(10_000, "the handshake", nbdClient(transports[index]!));
}

/** The ways to say it: a string, a URL, a WebSocket that connects or is open, a function. */
const places: [string, (url: string) => Promise<ServingPlace>][] = [
  ["a string", async (url) => url],
  ["a URL", async (url) => new URL(url)],
  ["a WebSocket that connects", async (url) => new WebSocket(url)],
  [
    "a WebSocket that is open",
    async (url) => {
      const socket = new WebSocket(url);
      await once(socket, "open");
      return socket;
    },
  ],
  ["a function", async (url) => () => new WebSocket(url)],
];

for (const [what, place] of places) {
  tests(`${what}, with and without new`, async (scene) => {
    for (const make of [
      (where: ServingPlace) => new NBDServer(where, image()),
      (where: ServingPlace) => NBDServer(where, image()),
    ]) {
      const server = make(await place(scene.url));
      const events = heard(server);
      server.start();
      const remote = await disk(scene);
      assert.equal(await remote.read(1000, 4096), sequence(4096, 1000));
      assert.is(server.endpoint, scene.url);
      server.stop();
      await until("the end", isOver(events));
      // One that is open is so within start().
      const others = events.filter((event) => event !== "waiting");
      assert.equal(others, ["connecting", "started", "serving", "ended", "closed 1000"]);
      assert.ok(events.includes("waiting"));
    }
  });
}

tests("a function is called at each start, and for each new link", async (scene) => {
  let calls = 0;
  const make = () => {
    calls++;
    return new WebSocket(scene.url);
  };
  const server = new NBDServer(make, image(), { retry: 60 });
  const events = heard(server);
  assert.is(calls, 0);
  assert.is(server.endpoint, "");
  server.start();
  await (await disk(scene)).read(0, 512);
  scene.sockets[0]!.terminate();
  const remote = await disk(scene, 1);
  await remote.read(0, 512);
  assert.is(calls, 2);
  await remote.close();
  await until("the end", isOver(events));
  assert.equal(
    events.filter((event) => /^(started|closed)/.test(event)),
    ["started", "closed 1000"],
  );
  server.start();
  await disk(scene, 2);
  assert.is(calls, 3);
  server.stop();
});

tests("a WebSocket serves once; what makes one is asked for", async (scene) => {
  const server = new NBDServer(new WebSocket(scene.url), image());
  server.start();
  await disk(scene);
  server.stop();
  await until("the end", () => server.state === "ended");
  const events = heard(server);
  const lines: string[] = [];
  server.onlog = (line) => lines.push(line);
  server.start();
  await until("the failure", isOver(events));
  assert.equal(events, ["connecting", "started", "failed", "closed 1006"]);
  assert.match(lines.at(-1)!, /^this WebSocket was used before; give a function that makes a WebSocket$/);
});

tests(
  "a WebSocket that was given ends with the server, also where the file cannot be read",
  async (scene) => {
    const sandbox = new Sandbox();
    const path = sandbox.path("image");
    await writeFile(path, sequence(4096));
    const gone = new File([await openAsBlob(path)], "image");
    await rename(path, `${path} aside`);
    for (const isOpen of [false, true]) {
      const socket = new WebSocket(scene.url);
      if (isOpen) await once(socket, "open");
      const server = new NBDServer(socket, gone);
      const events = heard(server);
      server.start();
      await until("the failure", isOver(events));
      assert.equal(events, ["connecting", "started", "unreadable file", "failed", "closed 1006"]);
      assert.is(socket.readyState, WebSocket.CLOSED);
    }
    await sandbox.end();
  },
);

tests("a WebSocket that is closed already, and a function that makes none, fail in words", async (scene) => {
  const closed = new WebSocket(scene.url);
  await once(closed, "open");
  closed.close();
  await once(closed, "close");
  for (const [where, words] of [
    [closed, /^the WebSocket is closed already$/],
    [
      () => undefined as unknown as WebSocket,
      /must be a URL, a WebSocket or a function that makes one, not undefined$/,
    ],
    [
      () => {
        throw new Error("no token yet");
      },
      /^no token yet$/,
    ],
  ] as [ServingPlace, RegExp][]) {
    const server = new NBDServer(where, image());
    const events = heard(server);
    server.start();
    await until("the failure", isOver(events));
    assert.match((server.error as Error).message, words);
    assert.equal(events, ["connecting", "started", "failed", "closed 1006"]);
  }
});

tests("what makes no sense together is refused in words", async ({ url }) => {
  const socket = new WebSocket(url);
  await once(socket, "open");
  for (const [where, options, words] of [
    [socket, { retry: 1 }, /^retry needs a URL, or a function that makes a WebSocket$/],
    [
      socket,
      { protocols: ["nbd"] },
      /^protocols are for a URL; give them to the WebSocket where it is made$/,
    ],
    [() => socket, { protocols: ["nbd"] }, /^protocols are for a URL/],
    [1, {}, /^where a file is served must be a URL, a WebSocket or a function that makes one, not 1$/],
    [url, { maxMessage: 63 }, /^maxMessage, in bytes, must be at least 64, not 63$/],
    [url, { onprogress: 1 }, /^onprogress must be a function, not 1$/],
  ] as [ServingPlace, PageServerOptions, RegExp][]) {
    assert.throws(() => new NBDServer(where, image(), options), words);
  }
  assert.throws(() => new NBDServer(socket, image(), 1, "token"), /^protocols are for a URL/);
  socket.terminate();
});

tests("no message is longer than maxMessage, whatever is asked for", async (scene) => {
  for (const maxMessage of [64, 1000, (1 << 17) + 16, undefined]) {
    const server = new NBDServer(scene.url, image(), { maxMessage });
    server.start();
    const index = scene.sockets.length;
    await until("the connection", () => scene.sockets.length > index);
    const socket = scene.sockets[index]!;
    let longest = 0;
    socket.on("message", (data: Buffer) => {
      longest = Math.max(longest, data.byteLength);
    });
    const remote = await disk(scene);
    const reads = Array.from({ length: 32 }, (_, i) => remote.read(i * 4096, 4096));
    assert.equal(await remote.read(0, SIZE), sequence(SIZE));
    for (const [i, bytes] of (await Promise.all(reads)).entries())
      assert.equal(bytes, sequence(4096, i * 4096));
    await remote.close();
    await until("the end", () => server.state === "ended");
    if (maxMessage)
      assert.ok(longest <= maxMessage && longest > maxMessage / 2, `${longest} of ${maxMessage}`);
    else assert.ok(longest > SIZE);
  }
});

tests(
  "a relay that refuses a message as too long: the error says how long it was, and what to set",
  async (_scene) => {
    const strict = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 1 << 16 });
    await once(strict, "listening");
    const url = `ws://127.0.0.1:${(strict.address() as AddressInfo).port}/`;
    const server = new NBDServer(url, image());
    const connection = once(strict, "connection");
    const events = heard(server);
    server.start();
    const [socket] = (await connection) as [WebSocket];
    const remote = await nbdClient(webSocket(socket));
    await remote.read(0, 1 << 17).catch(() => {});
    await until("the end", isOver(events));
    assert.is(events.at(-1), "closed 1009");
    assert.instance(server.error, WebSocketError);
    assert.match(
      (server.error as Error).message,
      /^the other side refused a message of 131\d\d\d bytes as too long; set maxMessage$/,
    );
    strict.close();
  },
);

tests("progress is told while something is read, and at the end", async (scene) => {
  const told: string[] = [];
  const server = new NBDServer(scene.url, image(), {
    cache: 0,
    onprogress: ({ reads, bytesRead, lastReadAt }) => told.push(`${reads} ${bytesRead} ${typeof lastReadAt}`),
  });
  const states = heard(server);
  server.start();
  const remote = await disk(scene);
  assert.equal(told, []);
  await remote.read(0, 512);
  await until("it is told", () => told.includes("1 512 number"));
  const set = server.onprogress;
  const last: number[] = [];
  server.onprogress = (progress) => {
    set?.(progress);
    last.push(progress.bytesPerSecond);
    assert.not(states.includes("ended"), "before the end");
  };
  await remote.read(0, 512);
  await remote.close();
  await until("the end", isOver(states));
  assert.is(told.at(-1), "2 1024 number");
  assert.is(last.at(-1), 0);
});

tests("as webui-vue calls it: an id, and the token as a subprotocol", async (scene) => {
  for (const [id, token, asked] of [
    ["slot 0", "abc", "abc"],
    [0, undefined, undefined],
    [undefined, "abc", "abc"],
    ["slot 1", undefined, undefined],
  ] as const) {
    const server = new NBDServer(scene.url, image(), id, token);
    assert.is(server.id, id);
    const events = heard(server);
    server.start();
    const remote = await disk(scene);
    assert.is(scene.asked.at(-1), asked);
    await remote.read(0, 512);
    server.stop();
    await until("the end", isOver(events));
  }
  assert.is(new NBDServer(scene.url, image(), {}).id, undefined);
});

tests("as webui-vue calls it, messages are no longer than relays of BMCs take", async (scene) => {
  const server = new NBDServer(scene.url, image(), "0", undefined);
  server.start();
  await until("the connection", () => scene.sockets.length > 0);
  const lengths: number[] = [];
  scene.sockets[0]!.on("message", (data: Buffer) => lengths.push(data.byteLength));
  const remote = await disk(scene);
  await remote.read(0, SIZE);
  await Promise.all([0, 1, 2, 3].map((i) => remote.read(i << 16, 1 << 16)));
  assert.ok(Math.max(...lengths) <= 131_088, String(Math.max(...lengths)));
  server.stop();
});

/** What a page of Vue has in place of its server: it cannot reach what is private. */
const asOfVue = <T extends object>(target: T) =>
  new Proxy(target, {
    get: (own, name, receiver) => Reflect.get(own, name, receiver),
    set: (own, name, value, receiver) => Reflect.set(own, name, value, receiver),
  });

tests("by way of a Proxy, as Vue's", async (scene) => {
  const server = asOfVue(new NBDServer(scene.url, image(), "0", "token"));
  const events = heard(server);
  server.onlog = () => {};
  server.onprogress = () => {};
  server.start();
  const remote = await disk(scene);
  await remote.read(0, 512);
  assert.is(server.state, "serving");
  assert.equal(server.counts, { reads: 1, bytesRead: 512 });
  server.stop();
  await until("the end", isOver(events));
  assert.is(events.at(-1), "closed 1000");
});

for (const code of [1001, 1006, 1000, 4002]) {
  tests(`the other side closes with ${code}, which the page is told`, async (scene) => {
    const server = new NBDServer(scene.url, image(), "0", "token");
    const events = heard(server);
    server.start();
    await (await disk(scene)).read(0, 512);
    if (code === 1006) scene.sockets[0]!.terminate();
    else scene.sockets[0]!.close(code);
    await until("the end", isOver(events));
    assert.is(events.at(-1), `closed ${code}`);
  });
}

tests("the reason that comes with a close code of no failure is told", async (scene) => {
  for (const isUsed of [true, false]) {
    const server = new NBDServer(scene.url, image(), "0", "token");
    const events = heard(server);
    const lines: string[] = [];
    server.onlog = (line) => lines.push(line);
    server.start();
    const remote = await disk(scene);
    if (isUsed) await remote.read(0, 512);
    scene.sockets.at(-1)!.close(1000, "Buffer overrun");
    await until("the end", isOver(events));
    assert.match(lines.at(-1)!, /: "Buffer overrun"$/);
  }
});

tests("the other side says goodbye and is gone: that is in order", async (scene) => {
  const server = new NBDServer(scene.url, image(), "0", "token");
  const events = heard(server);
  server.start();
  await until("the connection", () => scene.sockets.length > 0);
  const [socket] = scene.sockets;
  socket!.send(Buffer.from("0000000349484156454f50540000000100000000", "hex"));
  socket!.send(Buffer.from("25609513000000020000000000000002000000000000000000000000", "hex"), () =>
    // Without an answer to the close frame.
    socket!.pause(),
  );
  await until("it serves", () => events.includes("serving"));
  socket!.terminate();
  await until("the end", isOver(events));
  assert.equal(events.slice(-2), ["ended", "closed 1000"]);
});

for (const [what, url] of [
  ["nobody is there", "ws://127.0.0.1:9/"],
  ["the URL is none", "no URL"],
] as const) {
  tests(`${what}: closed with 1006, after it was started`, async () => {
    const server = new NBDServer(url, image(), "0", "token");
    const events = heard(server);
    server.start();
    assert.is(events.at(-1), "started", "within start()");
    await until("the end", isOver(events));
    assert.equal(events, ["connecting", "started", "failed", "closed 1006"]);
  });
}

tests("stopped before there is a connection: closed with 1000", async ({ url }) => {
  for (const file of [image(), new File([sequence(10)], "x")]) {
    const server = new NBDServer(url, file, "0", "token");
    const events = heard(server);
    server.start();
    server.stop();
    await until("the end", isOver(events));
    assert.equal(events.slice(-2), ["ended", "closed 1000"]);
  }
});

tests("closed is told last, when the WebSocket is closed: another may begin at once", async (scene) => {
  const server = new NBDServer(scene.url, image(), "0", "token");
  let first: WebSocket | undefined;
  const over = new Promise<void>((resolve) => {
    server.socketClosed = () => {
      first = scene.sockets[0];
      assert.is(server.state, "ended");
      server.socketClosed = () => resolve();
      server.start();
    };
  });
  server.start();
  const remote = await disk(scene);
  await remote.read(0, 512);
  // A relay that takes one session until it has said goodbye itself.
  let isFree = false;
  scene.sockets[0]!.on("close", () => {
    isFree = true;
  });
  scene.relay.on("connection", () => assert.ok(isFree));
  server.stop();
  await (await disk(scene, 1)).read(0, 512);
  assert.is(first, scene.sockets[0]);
  server.stop();
  await within(5000, "the second end", over);
});

tests("who starts again when it hears of the end is told closed before it begins anew", async (scene) => {
  const server = new NBDServer(scene.url, image(), "0", "token");
  const events = heard(server);
  const note = server.onstate!;
  server.onstate = (state) => {
    note(state);
    if (state === "ended" && scene.sockets.length < 2) server.start();
  };
  server.start();
  await (await disk(scene)).read(0, 512);
  server.stop();
  await (await disk(scene, 1)).read(0, 512);
  const since = events.indexOf("ended");
  assert.equal(events.slice(since, since + 4), ["ended", "closed 1000", "connecting", "started"]);
  server.stop();
  await until("the second end", () => events.at(-1) === "closed 1000");
  assert.is(events.filter((event) => event === "closed 1000").length, 2);
});

tests("closed is told when the WebSocket is closed, also where nothing was asked for", async ({ url }) => {
  let made: WebSocket | undefined;
  const server = new NBDServer(() => {
    made = new WebSocket(url);
    return made;
  }, image());
  let stateThen: number | undefined;
  server.socketClosed = () => {
    stateThen = made!.readyState;
  };
  server.start();
  await until("the connection", () => server.state === "waiting");
  server.stop();
  await until("the end", () => stateThen !== undefined);
  assert.is(stateThen, WebSocket.CLOSED);
});

tests("what such a callback throws disturbs nothing", async (scene) => {
  const server = new NBDServer(scene.url, image(), "0", "token");
  const reported: string[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error.message));
  try {
    server.socketStarted = () => {
      throw new Error("from socketStarted");
    };
    server.socketClosed = () => {
      throw new Error("from socketClosed");
    };
    server.start();
    await (await disk(scene)).read(0, 512);
    server.stop();
    await until("both were reported", () => reported.length === 2);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.equal(reported, ["from socketStarted", "from socketClosed"]);
  assert.is(server.state, "ended");
});

tests("a file that becomes unreadable is told each time, once", async (scene) => {
  const file = image();
  let isBroken = false;
  const slice = file.slice.bind(file);
  file.slice = (from, to) => {
    if (isBroken) throw new DOMException("it was removed", "NotFoundError");
    return slice(from, to);
  };
  const server = new NBDServer(scene.url, file, { cache: 0 });
  const events = heard(server);
  server.start();
  const remote = await disk(scene);
  const errors = () => events.filter((event) => event === "unreadable file").length;
  for (const times of [1, 2]) {
    isBroken = true;
    for (let i = 0; i < 3; i++) await remote.read(i * 512, 512).catch(() => {});
    assert.is(errors(), times);
    isBroken = false;
    await until("it serves again", async () => {
      await remote.read(0, 512);
      return server.state === "serving";
    });
  }
  server.stop();
  await until("the end", isOver(events));
});

tests.run();

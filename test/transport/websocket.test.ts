import { once } from "node:events";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { deferred } from "../../src/streams/deferred.ts";
import type { Transport } from "../../src/streams/duplex.ts";
import { Ended } from "../../src/streams/ended.ts";
import { join } from "../../src/streams/join.ts";
import { isLent, lend } from "../../src/streams/lent.ts";
import {
  WebSocketError,
  type WebSocketLike,
  type WebSocketTransportOptions,
  webSocket,
} from "../../src/transport/websocket.ts";
import {
  collect,
  collectBytes,
  cut,
  failure,
  hex,
  isPending,
  sequence,
  settled,
  source,
  toHex,
} from "../bytes.ts";
import { until, within } from "../harness.ts";

const tests = suite("websocket");

const servers: WebSocketServer[] = [];
tests.after(() => {
  for (const server of servers) {
    for (const client of server.clients) client.terminate();
    server.close();
  }
});

/** The two sockets of a connection. */
async function connected(): Promise<{ client: WebSocket; server: WebSocket }> {
  const listener = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 1 << 26 });
  servers.push(listener);
  await once(listener, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(listener.address() as AddressInfo).port}`);
  const [[server]] = (await Promise.all([once(listener, "connection"), once(client, "open")])) as [
    [WebSocket],
    unknown,
  ];
  return { client, server };
}

/** A transport on one side, the bare socket on the other, both ways round. */
const sides = ["client", "server"] as const;
async function half(side: (typeof sides)[number], options?: WebSocketTransportOptions) {
  const { client, server } = await connected();
  const [own, other] = side === "client" ? [client, server] : [server, client];
  return { own, other, transport: webSocket(own, options) };
}

for (const side of sides) {
  tests(`${side}: bytes both ways, each write a binary message`, async () => {
    const { other, transport } = await half(side);
    const echoed = new Promise<void>((resolve) => {
      let count = 0;
      other.on("message", (data, isBinary) => {
        assert.ok(isBinary);
        other.send(data);
        if (++count === 3) resolve();
      });
    });
    const writer = transport.writable.getWriter();
    const reader = transport.readable.getReader();
    for (const text of ["01", "0203", "ff".repeat(1000)]) {
      await writer.write(hex(text));
      assert.is(toHex((await within(5000, "the echo", reader.read())).value!), text);
    }
    await echoed;
  });

  tests(
    `${side}: closing the writable delivers what was sent before it; both sides end cleanly`,
    async () => {
      const { client, server } = await connected();
      const [own, other] = side === "client" ? [client, server] : [server, client];
      const [a, b] = [webSocket(own), webSocket(other)];
      const bytes = sequence(3_000_000);
      const got = collectBytes(b.readable);
      await within(20_000, "the pipe", source(cut(bytes, 100_000)).pipeTo(a.writable));
      assert.ok(Buffer.from(await got).equals(bytes));
      await within(5000, "closed", Promise.all([a.closed, b.closed]));
      assert.equal(await collect(a.readable), []);
      assert.is(own.readyState, WebSocket.CLOSED);
      assert.instance(await failure(b.writable.getWriter().write(hex("01"))), Ended);
    },
  );

  tests(`${side}: a receiver that does not read makes writes wait, and memory stays bounded`, async () => {
    const { client, server } = await connected();
    const [own, other] = side === "client" ? [client, server] : [server, client];
    const a = webSocket(own, { sendBuffer: 1 << 18 });
    const b = webSocket(other, { receiveBuffer: 1 << 16 });
    const chunk = sequence(1 << 16);
    const total = 1 << 10; // 64 MiB, far more than the buffers of both sockets and the kernel
    let written = 0;
    const writing = (async () => {
      const writer = a.writable.getWriter();
      for (; written < total; written++) await writer.write(chunk);
      await writer.close();
    })();
    let last = -1;
    await until("the writes to stop", async () => {
      if (last === written && written > 0) return true;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return false;
    });
    assert.ok(written < total / 2, `${written} chunks were taken`);
    assert.ok(own.bufferedAmount <= (1 << 18) + 2 * (1 << 16), `${own.bufferedAmount} bytes wait to be sent`);
    let got = 0;
    const reader = b.readable.getReader();
    for (;;) {
      const { done, value } = await within(10_000, "a read", reader.read());
      if (done) break;
      assert.is(value.byteLength, 1 << 16);
      got++;
    }
    assert.is(got, total);
    await within(5000, "the writer", writing);
  });

  tests(`${side}: text is refused, with what to do about it`, async () => {
    const { other, transport } = await half(side);
    const closed = once(other, "close");
    other.send("NBDMAGIC");
    const error = await within(5000, "the end", failure(collect(transport.readable)));
    assert.instance(error, WebSocketError);
    assert.match(error.message, /sent text, but NBD needs binary messages \(websocketd: use --binary\)$/);
    assert.is(await failure(transport.closed), error);
    const [code, reason] = await within(5000, "the close frame", closed);
    assert.is(code, 4000);
    assert.is(String(reason), error.message.slice(0, 123));
  });

  tests(`${side}: the other side vanishes: the readable ends, writes say that it was lost`, async () => {
    const { other, transport } = await half(side);
    other.terminate();
    assert.equal(await within(5000, "the end", collect(transport.readable)), []);
    await within(5000, "closed", transport.closed);
    assert.instance(await failure(transport.writable.getWriter().write(hex("01"))), WebSocketError);
  });

  tests(`${side}: the other side vanishes while a write waits: the write is let go`, async () => {
    const { other, transport } = await half(side, { sendBuffer: 1000 });
    other.pause();
    const writer = transport.writable.getWriter();
    const writing = (async () => {
      for (;;) await writer.write(sequence(1 << 20));
    })();
    writing.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    other.terminate();
    await within(5000, "the write", failure(writing));
    await within(
      5000,
      "closed",
      transport.closed.catch(() => {}),
    );
  });

  tests(`${side}: an abort interrupts a write that waits`, async () => {
    const { other, transport } = await half(side, { sendBuffer: 1000 });
    other.pause();
    const writer = transport.writable.getWriter();
    const writing = (async () => {
      for (;;) await writer.write(sequence(1 << 20));
    })();
    writing.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    const reason = new Error("enough");
    await within(5000, "the abort", writer.abort(reason));
    assert.is(await within(5000, "the write", failure(writing)), reason);
    assert.is(await within(5000, "closed", failure(transport.closed)), reason);
    other.terminate();
  });

  tests(
    `${side}: close(reason) gives the other side its words, at most 123 bytes of whole characters`,
    async () => {
      for (const [words, expected] of [
        ["the disk is gone", "the disk is gone"],
        [`${"x".repeat(500)}: the disk is full`, `${"x".repeat(36)}…${"x".repeat(66)}: the disk is full`],
        ["é".repeat(100), `${"é".repeat(18)}…${"é".repeat(42)}`],
        [`a${"💾".repeat(100)}`, `a${"💾".repeat(8)}…${"💾".repeat(21)}`],
      ] as const) {
        const { client, server } = await connected();
        const [own, other] = side === "client" ? [client, server] : [server, client];
        const [a, b] = [webSocket(own), webSocket(other)];
        const reason = new Error(words);
        a.close(reason);
        a.close(new Error("too late"));
        assert.is(await failure(a.closed), reason);
        assert.is(await failure(a.writable.getWriter().write(hex("01"))), reason);
        const error = await within(5000, "the other side", failure(collect(b.readable)));
        assert.instance(error, WebSocketError);
        assert.is((error as WebSocketError).reason, expected);
        assert.is(await failure(b.closed), error);
      }
    },
  );

  tests(`${side}: close codes: those that mean gone are a clean end, others a failure`, async () => {
    for (const [code, reason, expected] of [
      [1000, "", undefined],
      [1001, "the page was closed", undefined],
      [undefined, "", undefined],
      [1011, "", "the other side closed the WebSocket with code 1011"],
      [1008, "not you", 'the other side closed the WebSocket: "not you"'],
      [4321, "", "the other side closed the WebSocket with code 4321"],
    ] as const) {
      const { other, transport } = await half(side);
      other.close(code, reason);
      const end = await within(
        5000,
        "closed",
        transport.closed.catch((error: Error) => error.message),
      );
      assert.is(end, expected, `${code}`);
    }
  });
}

tests("close() without a reason, also while connecting, ends both streams cleanly", async () => {
  const { client, server } = await connected();
  const [a, b] = [webSocket(client), webSocket(server)];
  a.close();
  assert.equal(await collect(a.readable), []);
  await within(5000, "closed", a.closed);
  await within(5000, "closed", b.closed);

  const listener = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  servers.push(listener);
  await once(listener, "listening");
  const early = webSocket(new WebSocket(`ws://127.0.0.1:${(listener.address() as AddressInfo).port}`));
  early.close();
  await within(5000, "closed", early.closed);
});

tests("what is written while connecting waits for the connection", async () => {
  const listener = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  servers.push(listener);
  await once(listener, "listening");
  const transport = webSocket(new WebSocket(`ws://127.0.0.1:${(listener.address() as AddressInfo).port}`));
  const [[server]] = (await Promise.all([
    once(listener, "connection"),
    within(5000, "the write", transport.writable.getWriter().write(hex("0102"))),
  ])) as [[WebSocket], unknown];
  const [data] = await within(5000, "the message", once(server, "message"));
  assert.is(toHex(data as Buffer), "0102");
});

tests("a connection that is refused is an error in words, and waiting writes reject", async () => {
  const probe = createTcpServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  const transport = webSocket(new WebSocket(`ws://127.0.0.1:${port}`));
  const written = failure(transport.writable.getWriter().write(hex("01")));
  const error = await within(5000, "closed", failure(transport.closed));
  assert.instance(error, WebSocketError);
  assert.match(error.message, /ECONNREFUSED/);
  assert.is(await written, error);
  assert.is(await failure(collect(transport.readable)), error);
});

tests("an abort while connecting lets the waiting write go", async () => {
  // It accepts, and never answers the upgrade.
  const silent = createTcpServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const transport = webSocket(new WebSocket(`ws://127.0.0.1:${(silent.address() as AddressInfo).port}`));
  const writer = transport.writable.getWriter();
  const written = failure(writer.write(hex("01")));
  await settled();
  const reason = new Error("enough");
  await within(5000, "the abort", writer.abort(reason));
  assert.is(await within(5000, "the write", written), reason);
  silent.close();
});

tests(
  "joined transports: what one WebSocket says the other hears, both ways, and an end ends all",
  async () => {
    const [left, right] = [await half("client"), await half("server")];
    const over = join(left.transport, right.transport);
    const heard = once(right.other, "message");
    left.other.send(hex("0102"));
    assert.is(toHex((await within(5000, "there", heard))[0] as Buffer), "0102");
    const back = once(left.other, "message");
    right.other.send(hex("03"));
    assert.is(toHex((await within(5000, "back", back))[0] as Buffer), "03");
    const gone = once(right.other, "close");
    left.other.close(1000);
    await within(5000, "the other end", gone);
    await within(5000, "join", over);
  },
);

/** A WebSocket as a browser has it: without pause(), and with what it was told in `sent`. */
class FakeSocket extends EventTarget implements WebSocketLike {
  binaryType = "blob";
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: unknown[] = [];
  closing: [number?, string?] | undefined;
  send(data: never) {
    this.sent.push(data);
  }
  close(code?: number, reason?: string) {
    this.closing ??= reason === undefined ? [code] : [code, reason];
  }
  receive(length: number) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: new ArrayBuffer(length) }));
  }
  end(code: number, reason = "") {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}

tests("a socket that cannot be paused is given up beyond receiveLimit, not before", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket, { receiveBuffer: 100, receiveLimit: 1000 });
  assert.is(socket.binaryType, "arraybuffer");
  for (let i = 0; i < 10; i++) socket.receive(100);
  assert.is(socket.closing, undefined);
  socket.receive(100);
  assert.is(socket.closing?.[0], 4000);
  const error = await failure(transport.closed);
  assert.instance(error, WebSocketError);
  assert.match(error.message, /^1100 bytes came in faster than they were read$/);
  socket.receive(100);
});

tests("messages without bytes are dropped, and very short ones count for more than their bytes", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket, { receiveBuffer: 100, receiveLimit: 6400 });
  const reader = transport.readable.getReader();
  const reading = reader.read();
  for (let i = 0; i < 10_000; i++) socket.receive(0);
  assert.ok(await isPending(reading));
  socket.receive(1);
  assert.is((await reading).value?.byteLength, 1);
  for (let i = 0; i < 100; i++) socket.receive(1);
  assert.is(socket.closing, undefined);
  socket.receive(1);
  assert.is(socket.closing?.[0], 4000);
});

tests("an error is the end, also where no close comes", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket);
  socket.dispatchEvent(Object.assign(new Event("error"), { error: new Error("a bad frame") }));
  assert.match((await failure(transport.closed)).message, /^a bad frame$/);
  socket.end(1006);
});

tests("bytes that were read do not count for receiveLimit", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket, { receiveBuffer: 100, receiveLimit: 300 });
  const reader = transport.readable.getReader();
  // The queue is never below the high-water mark.
  socket.receive(200);
  for (let i = 0; i < 100; i++) {
    socket.receive(100);
    await reader.read();
    socket.receive(100);
    await reader.read();
    await settled();
  }
  assert.is(socket.closing, undefined);
});

tests("bytes are handed to the socket as they are; a write waits while bufferedAmount is high", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket, { sendBuffer: 1000 });
  const writer = transport.writable.getWriter();
  const bytes = hex("aa");
  await writer.write(bytes);
  assert.is(socket.sent[0], bytes);
  socket.bufferedAmount = 1001;
  const written = writer.write(hex("01"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(await isPending(written));
  socket.bufferedAmount = 1000;
  await within(1000, "the write", written);
  socket.end(1000);
  await transport.closed;
  assert.instance(await failure(writer.write(hex("02"))), Ended);
});

tests("what is not bytes is not sent: a string would leave as text, which no NBD peer takes", async () => {
  for (const chunk of ["text", new Blob(["x"])]) {
    const socket = new FakeSocket();
    const writing = webSocket(socket)
      .writable.getWriter()
      .write(chunk as never);
    assert.match((await failure(writing)).message, /must be a Uint8Array/);
    assert.is(socket.sent.length, 0);
  }
});

tests("what was lent is given back when ws has sent it, and never by a browser's WebSocket", async () => {
  const { other, transport } = await half("client");
  const message = once(other, "message");
  const returned = deferred();
  await transport.writable.getWriter().write(lend(hex("01"), () => returned.resolve()));
  await within(5000, "the message", message);
  await within(5000, "the return", returned.promise);

  const socket = new FakeSocket();
  const bytes = lend(hex("01"), () => {});
  await webSocket(socket).writable.getWriter().write(bytes);
  assert.ok(isLent(bytes));
});

tests("a message that was lent is handed on as the object that can be given back", async () => {
  const { own, transport } = await half("client");
  const bytes = lend(hex("01"), () => {});
  own.emit("message", bytes, true);
  const { value } = await transport.readable.getReader().read();
  assert.is(value, bytes);
});

tests(
  "an abort of the writable, and a cancel with a failure, end the connection with the reason",
  async () => {
    const reason = new Error("enough");
    for (const end of [
      ({ writable }: Transport) => writable.abort(reason),
      ({ readable }: Transport) => readable.cancel(reason),
    ]) {
      const socket = new FakeSocket();
      const transport = webSocket(socket);
      await within(1000, "the end", end(transport));
      assert.equal(socket.closing, [4000, "enough"]);
      assert.is(await failure(transport.closed), reason);
    }
  },
);

tests("a cancel with Ended leaves the other direction alive", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket);
  await transport.readable.cancel(new Ended());
  assert.is(socket.closing, undefined);
  socket.receive(100);
  await transport.writable.getWriter().write(hex("01"));
  assert.is(socket.sent.length, 1);
});

tests("a connection that was lost: the readable ends, and what was still to be sent fails", async () => {
  for (const [what, buffered, ends] of [
    ["nothing", 0, "written"],
    ["what was sent", 100, "closed"],
    ["a write that waits for room", 1001, "closed"],
    ["nothing at all", 0, "in order"],
  ] as const) {
    const socket = new FakeSocket();
    const transport = webSocket(socket, { sendBuffer: 1000 });
    const writer = transport.writable.getWriter();
    socket.bufferedAmount = buffered;
    writer.write(hex("01")).catch(() => {});
    await settled();
    socket.end(1006);
    await within(1000, "closed", transport.closed);
    assert.equal(await collect(transport.readable), [], what);
    if (ends === "in order") await within(1000, "the end", writer.close());
    else {
      const late = ends === "written" ? writer.write(hex("02")) : writer.close();
      const error = await within(1000, "the failure", failure(late));
      assert.instance(error, WebSocketError, what);
      assert.is(error.message, "the connection was lost before everything was sent");
    }
  }
});

for (const side of sides) {
  tests(`${side}: a connection that is cut with data under way is seen by the writer's close`, async () => {
    const { other, transport } = await half(side, { sendBuffer: 1 << 26 });
    other.pause();
    const writer = transport.writable.getWriter();
    // More than the kernel takes.
    for (let i = 0; i < 16; i++) await within(5000, "a write", writer.write(sequence(1 << 20)));
    other.terminate();
    await within(5000, "closed", transport.closed);
    assert.instance(await within(5000, "the failure", failure(writer.close())), WebSocketError);
  });

  tests(`${side}: a connection that is cut while idle ends in order`, async () => {
    const { other, transport } = await half(side);
    const writer = transport.writable.getWriter();
    await Promise.all([once(other, "message"), writer.write(hex("01"))]);
    other.terminate();
    await within(5000, "closed", transport.closed);
    await within(5000, "the end", writer.close());
  });
}

tests("an end during a close leaves no timer behind", async () => {
  const socket = Object.assign(new FakeSocket(), { terminate() {} });
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const transport = webSocket(socket);
  transport.writable.close().catch(() => {});
  await settled();
  transport.close();
  assert.is(timers(), before + 1);
  socket.end(1000);
  assert.is(timers(), before);
});

tests("an error without words has some", async () => {
  const socket = new FakeSocket();
  const transport = webSocket(socket);
  socket.dispatchEvent(new Event("error"));
  socket.end(1006);
  assert.is((await failure(transport.closed)).message, "the connection failed");
});

tests.run();

import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { socketTransport } from "../../src/node/socket.ts";
import { Ended } from "../../src/streams/ended.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
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
import { Sandbox, suite, until, within } from "../harness.ts";

const tests = suite("socket transport");
const sandbox = new Sandbox();
const servers: Server[] = [];
const sockets: Socket[] = [];
tests.after(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  await sandbox.end();
});

const chunk16 = sequence(1 << 16);
const chunk18 = sequence(1 << 18);
let number = 0;
/** The two sockets of a connection, each to be half closed. */
async function connected(kind: "unix" | "tcp"): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  servers.push(server);
  server.listen(
    kind === "unix" ? { path: sandbox.path(`socket-${number++}`) } : { host: "127.0.0.1", port: 0 },
  );
  await once(server, "listening");
  const address = server.address() as string | AddressInfo;
  const options = typeof address === "string" ? { path: address } : { host: "127.0.0.1", port: address.port };
  const client = connect({ ...options, allowHalfOpen: true });
  const [[accepted]] = (await Promise.all([once(server, "connection"), once(client, "connect")])) as [
    [Socket],
    unknown,
  ];
  server.close();
  sockets.push(client, accepted);
  return [client, accepted];
}

/** Sockets that this process has open. */
function openSockets(): number {
  let count = 0;
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:")) count++;
    } catch {
      // The descriptor of the folder itself is gone by now.
    }
  }
  return count;
}

for (const kind of ["unix", "tcp"] as const) {
  tests(`${kind}: bytes both ways, in any chunks, to clean ends; the descriptors are closed`, async () => {
    const before = openSockets();
    const [a, b] = (await connected(kind)).map(socketTransport) as [Side, Side];
    const [there, back] = [sequence(1_000_003), sequence(500_001, 7)];
    const [atB, atA] = await within(
      20_000,
      "both directions",
      Promise.all([
        collectBytes(b.readable),
        collectBytes(a.readable),
        source(cut(there, 9_999)).pipeTo(a.writable),
        source(cut(back, 100_000)).pipeTo(b.writable),
      ]),
    );
    assert.ok(Buffer.from(atB).equals(there));
    assert.ok(Buffer.from(atA).equals(back));
    await within(5000, "closed", Promise.all([a.closed, b.closed]));
    await until("the descriptors are closed", () => openSockets() <= before);
  });

  tests(`${kind}: a half that is closed leaves the other running`, async () => {
    const [a, b] = (await connected(kind)).map(socketTransport) as [Side, Side];
    await a.writable.close();
    assert.equal(await within(5000, "the end", collect(b.readable)), []);
    assert.ok(await isPending(a.closed));
    const writer = b.writable.getWriter();
    const reader = a.readable.getReader();
    for (let i = 0; i < 5; i++) {
      await writer.write(hex("0a0b"));
      assert.is(toHex((await within(5000, "a read", reader.read())).value!), "0a0b");
    }
    await writer.close();
    assert.ok((await reader.read()).done);
    await within(5000, "closed", Promise.all([a.closed, b.closed]));
  });

  tests(`${kind}: a peer that does not read makes writes wait; memory stays bounded`, async () => {
    const [own, other] = await connected(kind);
    const [a, b] = [socketTransport(own), socketTransport(other)];
    const total = 1 << 10;
    let written = 0;
    const writing = (async () => {
      const writer = a.writable.getWriter();
      for (; written < total; written++) await writer.write(chunk16);
      await writer.close();
    })();
    let last = -1;
    await until("the writes to stop", async () => {
      if (last === written && written > 0) return true;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return false;
    });
    assert.ok(written < total, `${written} chunks were taken`);
    assert.ok(own.writableLength <= 1 << 18, `${own.writableLength} bytes wait to be sent`);
    assert.ok(other.bytesRead <= 1 << 20, `${other.bytesRead} bytes were taken that nobody asked for`);
    const got = await within(20_000, "the rest", collectLength(b.readable));
    assert.is(got, total << 16);
    await within(5000, "the writer", writing);
  });

  tests(
    `${kind}: a peer that vanishes while it is read from: the read ends, and so does the transport`,
    async () => {
      const [own, other] = await connected(kind);
      const transport = socketTransport(own);
      const read = transport.readable.getReader().read();
      other.destroy();
      assert.ok((await within(5000, "the read", read)).done);
      // Its half may still be written to as far as this side knows; the first write tells.
      const writer = transport.writable.getWriter();
      await failure(
        (async () => {
          for (;;) await writer.write(chunk16);
        })(),
      );
      await within(
        5000,
        "closed",
        transport.closed.catch(() => {}),
      );
      assert.ok(own.destroyed);
    },
  );

  tests(`${kind}: a peer that vanishes while a write hangs: the write is let go`, async () => {
    const [own, other] = await connected(kind);
    const transport = socketTransport(own);
    other.pause();
    const writer = transport.writable.getWriter();
    const writing = failure(
      (async () => {
        for (;;) await writer.write(chunk18);
      })(),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    other.destroy();
    await within(5000, "the write", writing);
    await within(
      5000,
      "closed",
      transport.closed.catch(() => {}),
    );
    assert.ok(own.destroyed);
  });

  for (const way of ["close", "abort"] as const) {
    tests(`${kind}: ${way}() interrupts a write that hangs, and all ends with the reason`, async () => {
      const [own, other] = await connected(kind);
      const transport = socketTransport(own);
      other.pause();
      const writer = transport.writable.getWriter();
      const writing = failure(
        (async () => {
          for (;;) await writer.write(chunk18);
        })(),
      );
      await new Promise((resolve) => setTimeout(resolve, 200));
      const reason = new Error("enough");
      if (way === "close") transport.close(reason);
      else await within(5000, "the abort", writer.abort(reason));
      assert.is(await within(5000, "the write", writing), reason);
      assert.is(await within(5000, "closed", failure(transport.closed)), reason);
      assert.is(await failure(collect(transport.readable)), reason);
      assert.ok(own.destroyed);
    });
  }

  tests(`${kind}: close() without a reason ends both streams cleanly`, async () => {
    const [own, other] = await connected(kind);
    const [a, b] = [socketTransport(own), socketTransport(other)];
    a.close();
    a.close(new Error("too late"));
    await within(5000, "closed", a.closed);
    assert.equal(await collect(a.readable), []);
    assert.instance(await failure(a.writable.getWriter().write(hex("01"))), Ended);
    assert.equal(await within(5000, "the other side", collect(b.readable)), []);
  });

  tests(`${kind}: what was written before close(reason) still reaches the other side`, async () => {
    const [a, b] = (await connected(kind)).map(socketTransport) as [Side, Side];
    const writer = a.writable.getWriter();
    await writer.write(hex("0102"));
    await writer.write(hex("03"));
    a.close(new Error("refused"));
    assert.equal(await within(5000, "the other side", collectBytes(b.readable)), hex("010203"));
    await a.closed.catch(() => {});
  });

  tests(`${kind}: what is written in one turn leaves together`, async () => {
    const [own, other] = await connected(kind);
    const transport = socketTransport(own);
    const writer = transport.writable.getWriter();
    const chunks: Buffer[] = [];
    other.on("data", (chunk) => chunks.push(chunk));
    for (let i = 0; i < 16; i++) writer.write(Uint8Array.of(i)).catch(() => {});
    await until("the bytes", () => Buffer.concat(chunks).length === 16);
    assert.is(chunks.length, 1);
    transport.close();
  });

  tests(
    `${kind}: a reader that cancels with Ended leaves the writing half alive, and sees the end`,
    async () => {
      const [own, other] = await connected(kind);
      const transport = socketTransport(own);
      await transport.readable.cancel(new Ended());
      other.write("nobody wants this");
      const writer = transport.writable.getWriter();
      const heard = once(other, "data");
      await writer.write(hex("0102"));
      assert.is(toHex((await within(5000, "the bytes", heard))[0] as Buffer), "0102");
      await writer.close();
      other.end();
      await within(5000, "closed", transport.closed);
    },
  );

  tests(`${kind}: joined with a channel in memory, a failure there ends the socket`, async () => {
    const [own, other] = await connected(kind);
    other.pause();
    const [near, far] = transportPair();
    const over = failure(join(socketTransport(own), near));
    const writer = far.writable.getWriter();
    const writing = failure(
      (async () => {
        for (;;) await writer.write(chunk18);
      })(),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    const reason = new Error("broken");
    far.close(reason);
    assert.is(await within(5000, "join", over), reason);
    await writing;
    await until("the socket is destroyed", () => own.destroyed);
    await settled();
  });
}

type Side = ReturnType<typeof socketTransport>;

async function collectLength(readable: ReadableStream<Uint8Array>): Promise<number> {
  const reader = readable.getReader();
  for (let length = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return length;
    length += value.byteLength;
  }
}

tests.run();

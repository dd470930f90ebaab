import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { memoryExport } from "../src/export/memory.ts";
import { serve } from "../src/serve.ts";
import type { Transport } from "../src/streams/duplex.ts";
import { Ended } from "../src/streams/ended.ts";
import { transportPair } from "../src/streams/pair.ts";
import { webSocket } from "../src/transport/websocket.ts";
import { collect, failure, hex, isPending, readBytes, sequence, settled } from "./bytes.ts";
import { until, within } from "./harness.ts";

const tests = suite("serve");

const EXPORT_NAME = "00000003 49484156454f5054 00000001 00000000";
const READ = "25609513 0000 0000 0000000000000001 0000000000000000 00000010";

/** A transport whose writes hang until it is closed, as one does that is still connecting. */
function hanging(): Transport & { closes: unknown[]; say(bytes: Uint8Array): void } {
  const closes: unknown[] = [];
  let letGo!: (reason: unknown) => void;
  const gone = new Promise<never>((_, reject) => {
    letGo = reject;
  });
  gone.catch(() => {});
  let incoming!: ReadableStreamDefaultController<Uint8Array>;
  return {
    closes,
    say: (bytes) => incoming.enqueue(bytes),
    readable: new ReadableStream({
      start(controller) {
        incoming = controller;
      },
    }),
    writable: new WritableStream({ write: () => gone }),
    closed: gone,
    close(reason) {
      closes.push(reason);
      letGo(reason);
      try {
        incoming.close();
      } catch {
        // It was cancelled.
      }
    },
  };
}

tests("a signal does not wait for a transport that is still connecting", async () => {
  for (const early of [true, false]) {
    const transport = hanging();
    const ending = new AbortController();
    if (early) ending.abort();
    const served = serve(transport, memoryExport(sequence(100)), { signal: ending.signal });
    await settled();
    ending.abort();
    await within(400, "the end", served);
    assert.instance(transport.closes[0], Ended);
  }
});

for (const [what, said, reason] of [
  ["bad client flags", "ffffffff", "the client set unknown flags, 0xffffffff"],
  [
    "an unknown export",
    "00000003 49484156454f5054 00000001 00000001 61",
    `the client asked for an export that is not offered: "a"`,
  ],
] as const) {
  tests(`${what}: the other end of a WebSocket is told why`, async () => {
    const listener = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    try {
      const peer = once(listener, "connection") as Promise<[WebSocket]>;
      await once(listener, "listening");
      const { port } = listener.address() as AddressInfo;
      const { signal } = new AbortController();
      const near = webSocket(new WebSocket(`ws://127.0.0.1:${port}`));
      const served = failure(serve(near, memoryExport(sequence(100)), { signal }));
      const [client] = await peer;
      const closed = once(client, "close");
      client.send(hex(said));
      const [code, words] = await within(2000, "the close frame", closed);
      assert.equal([code, `${words}`], [4000, reason]);
      assert.is((await within(2000, "the end", served)).message, reason);
      assert.is((await failure(near.closed)).message, reason);
    } finally {
      listener.close();
    }
  });
}

tests("a handshake that fails with a client that takes no answer keeps nothing open", async () => {
  const transport = hanging();
  const { signal } = new AbortController();
  const served = failure(serve(transport, memoryExport(sequence(100)), { signal }));
  transport.say(hex("ffffffff"));
  const error = await within(400, "the end", served);
  assert.is(error.message, "the client set unknown flags, 0xffffffff");
  assert.is(transport.closes[0], error);
});

tests("who has the only connection is not told that there could be several", async () => {
  const [near, far] = transportPair();
  const served = serve(near, memoryExport(sequence(100), { readOnly: true }), {
    signal: new AbortController().signal,
  });
  const writer = far.writable.getWriter();
  await writer.write(hex(`${EXPORT_NAME}`));
  const said = await readBytes(far.readable.getReader(), 28);
  assert.is(
    Buffer.from(said).toString("hex").slice(36),
    `${"64".padStart(16, "0")}0003`,
    "no CAN_MULTI_CONN",
  );
  await writer.write(hex("25609513 0000 0002 0000000000000002 0000000000000000 00000000"));
  await served;
});

/** Serves a client that says this, and then ends its stream; gives what is said of it, "" where all is well. */
async function ended(...said: string[]): Promise<string> {
  const [near, far] = transportPair();
  const { signal } = new AbortController();
  const served = serve(near, memoryExport(sequence(100)), { signal });
  const taken = collect(far.readable).catch(() => {});
  const writer = far.writable.getWriter();
  for (const part of said) await writer.write(hex(part)).catch(() => {});
  await writer.close().catch(() => {});
  const words = await within(
    2000,
    "the end",
    served.then(
      () => "",
      (error: Error) => error.message,
    ),
  );
  await taken;
  return words;
}

const DISC = "25609513 0000 0002 0000000000000002 0000000000000000 00000000";
const WRITE = "25609513 0000 0001 0000000000000003 0000000000000000 00000001 ff";
const LEFT = "the other side left without reading; its log says why";

for (const [what, said, words] of [
  ["nothing", [], LEFT],
  ["half an option", ["00000003 49484156"], LEFT],
  ["the export's name", [EXPORT_NAME], LEFT],
  ["the export's name, and half a request", [EXPORT_NAME, "25609513 0000"], LEFT],
  ["NBD_OPT_ABORT", ["00000003 49484156454f5054 00000002 00000000"], ""],
  ["the export's name, and NBD_CMD_DISC", [EXPORT_NAME, DISC], ""],
  ["a read", [EXPORT_NAME, READ], ""],
  ["a write", [EXPORT_NAME, WRITE], ""],
] as const) {
  tests(`a client that leaves after ${what} ${words ? "has failed" : "has not failed"}`, async () => {
    assert.is(await ended(...said), words);
  });
}

tests("a signal lets what is outstanding be answered", async () => {
  const [near, far] = transportPair();
  let answer!: () => void;
  let asked = false;
  const bytes = sequence(100);
  const slow = {
    ...memoryExport(bytes),
    async read(offset: number, length: number) {
      asked = true;
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return bytes.slice(offset, offset + length);
    },
  };
  const ending = new AbortController();
  const served = serve(near, slow, { signal: ending.signal });
  const reader = far.readable.getReader();
  far.writable
    .getWriter()
    .write(hex(EXPORT_NAME + READ))
    .catch(() => {});
  await readBytes(reader, 18 + 10);
  await until("the read", () => asked);
  ending.abort();
  assert.ok(await isPending(served));
  answer();
  const reply = await within(400, "the reply", readBytes(reader, 32));
  assert.equal(reply.subarray(16), bytes.subarray(0, 16));
  await within(400, "the end", served);
});

tests("a client that takes no answer is not waited for; without a signal a failure is one", async () => {
  for (const signalled of [true, false]) {
    const [near, far] = transportPair();
    const ending = new AbortController();
    let serving = false;
    const served = serve(near, memoryExport(sequence(100)), {
      signal: ending.signal,
      onTransmission: () => {
        serving = true;
      },
    });
    const reader = far.readable.getReader();
    far.writable
      .getWriter()
      .write(hex(EXPORT_NAME + READ.repeat(20)))
      .catch(() => {});
    await readBytes(reader, 18 + 10);
    await until("it serves", () => serving);
    if (signalled) {
      ending.abort();
      await within(1500, "the end", served);
    } else {
      const reason = new Error("broken");
      far.close(reason);
      assert.is(await within(1500, "the failure", failure(served)), reason);
    }
  }
});

tests.run();

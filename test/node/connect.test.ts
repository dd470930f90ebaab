import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocketServer } from "ws";
import { connect, isUnseen } from "../../src/node/connect.ts";
import { hex, toHex } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("connect");

tests("what stays on this machine or goes through TLS is unseen, all else may pass a proxy", () => {
  for (const endpoint of [
    "ws://localhost:8000/",
    "ws://127.0.0.1/",
    "ws://127.1.2.3:1/cd",
    "ws://[::1]:8000/",
    "wss://far.example/",
  ]) {
    assert.ok(isUnseen(new URL(endpoint)), endpoint);
  }
  for (const endpoint of [
    "ws://far.example/",
    "ws://localhost.far.example/",
    "ws://127.0.0.1.far.example/",
    "ws://192.0.2.1/",
    "ws://[2001:db8::1]/",
  ]) {
    assert.not.ok(isUnseen(new URL(endpoint)), endpoint);
  }
});

tests("to this machine a message is masked with zeroes, which leaves it as it is", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  try {
    await once(server, "listening");
    const frame = new Promise<Uint8Array>((resolve) => {
      server.once("connection", (_client, { socket }) => socket.once("data", resolve));
    });
    const transport = connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await within(5000, "the write", transport.writable.getWriter().write(hex("01020304")));
    assert.is(toHex(await within(5000, "the frame", frame)), "82840000000001020304");
    transport.close();
    await transport.closed;
  } finally {
    server.close();
  }
});

tests("an endpoint that is no WebSocket is refused", () => {
  for (const endpoint of ["http://127.0.0.1/", "ws://", "image.iso"]) {
    assert.throws(() => connect(endpoint), /is no ws:\/\/ or wss:\/\/ URL/);
  }
});

tests.run();

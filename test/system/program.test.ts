import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { program, Sandbox, suite, within } from "../harness.ts";
import { startGateway } from "./link.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("how programs speak");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

tests("what the other side says stays on one line, without control characters", async ({ sandbox }) => {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  relay.on("connection", (socket) =>
    socket.close(4000, "\x1b]0;owned\x07\nnbd-serve: all is \u009bwell, e\u0301t\u00e9"),
  );
  const image = sandbox.path("disk.img");
  writeFileSync(image, Buffer.alloc(4096));
  const url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`;
  const server = sandbox.start(program("nbd-serve"), [image, url]);
  assert.is(await within(10_000, "nbd-serve", server.exit), 1);
  relay.close();
  const said = "\\u{1b}]0;owned\\u{7}\\nnbd-serve: all is \\u{9b}well, e\u0301t\u00e9";
  assert.is(server.stderr, `nbd-serve: ${url}: the other side closed the WebSocket: "${said}"\n`);
});

tests("a gateway goes on when nobody reads what it says", async ({ sandbox }) => {
  const gateway = await startGateway(sandbox);
  gateway.process.stderr!.destroy();
  gateway.process.stdout!.destroy();
  for (let i = 0; i < 3; i++) {
    // Each is refused, with a line about it.
    const socket = new WebSocket(`${gateway.url}nowhere`);
    socket.on("error", () => {});
    await within(5000, "the refusal", once(socket, "close"));
  }
  assert.is(gateway.process.exitCode, null);
  gateway.kill("SIGHUP");
  gateway.kill();
  assert.equal(await within(2000, "nbd-gateway", once(gateway.process, "exit")), [0, null]);
});

tests.run();

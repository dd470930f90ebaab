import * as assert from "uvu/assert";
import { isUnknownRelay, relayWindow } from "../../src/node/relay-window.ts";
import { suite } from "../harness.ts";

const tests = suite("the window for a relay that is not known");

/** What bmcweb's relay holds, in bytes. */
const HELD = 4 * (128 * 1024 + 16);

tests("all that such a relay holds, and half of it through a pipe in which writes may wait", () => {
  const request = 128 * 1024;
  assert.equal(relayWindow(true, 1 << 20), { request, outstanding: HELD });
  assert.equal(relayWindow(true, (1 << 20) - 1), { request, outstanding: HELD / 2 });
  assert.equal(relayWindow(true), { request, outstanding: HELD / 2 }, "nobody knows what the pipe holds");
  assert.equal(relayWindow(false), { request, outstanding: HELD }, "a socket, which bmcweb has not");
});

tests("it is for pipes and sockets of those who do not say what they are", () => {
  const [pipe, socket, file] = [
    { isFIFO: () => true, isSocket: () => false },
    { isFIFO: () => false, isSocket: () => true },
    { isFIFO: () => false, isSocket: () => false },
  ];
  assert.is(isUnknownRelay({}, pipe!), true);
  assert.is(isUnknownRelay({}, socket!), true);
  assert.is(isUnknownRelay({}, file!), false);
  const websocketd = { GATEWAY_INTERFACE: "websocketd-CGI/0.1" };
  assert.is(isUnknownRelay(websocketd, pipe!), false);
  assert.is(isUnknownRelay(websocketd, socket!), false);
});

tests.run();

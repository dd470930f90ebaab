import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { asksToTakeOver } from "../../../src/node/gateway/take-over.ts";
import { WebSocketLimit } from "../../../src/node/gateway/web-socket-limit.ts";
import { networkOf } from "../../../src/node/network-of.ts";

const tests = suite("how many WebSockets there may be");

const socket = () => new EventEmitter() as Duplex;

tests("of all clients together: one more is told, and has a place when another leaves", () => {
  const limit = new WebSocketLimit({ webSockets: 2, webSocketsPerAddress: 2 });
  const first = socket();
  assert.is(limit.admit(first, "10.0.0.1"), undefined);
  assert.is(limit.admit(socket(), "10.0.0.2"), undefined);
  const { status, words } = limit.admit(socket(), "10.0.0.3")!;
  assert.equal([status, words], [503, "there are too many WebSockets"]);
  first.emit("close");
  assert.is(limit.admit(socket(), "10.0.0.3"), undefined);
});

tests("from one address, or one /64 of IPv6; others get in", () => {
  const limit = new WebSocketLimit({ webSockets: 100, webSocketsPerAddress: 2 });
  for (const [first, same, other] of [
    ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"],
    ["2001:db8::1", "2001:db8:0:0:ffff::9", "2001:db8:0:1::1"],
  ] as const) {
    const sockets = [socket(), socket()];
    for (const one of sockets) assert.is(limit.admit(one, first), undefined);
    const { status, words } = limit.admit(socket(), same)!;
    assert.equal([status, words], [429, "there are too many WebSockets from your address"]);
    assert.is(limit.admit(socket(), other), undefined);
    sockets[0]!.emit("close");
    assert.is(limit.admit(socket(), same), undefined);
    assert.ok(limit.admit(socket(), first));
  }
});

tests("those from this machine, whose users share its addresses, count only among all", () => {
  const limit = new WebSocketLimit({ webSockets: 9, webSocketsPerAddress: 1 });
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", ""])
    for (let i = 0; i < 2; i++) assert.is(limit.admit(socket(), address), undefined);
  assert.is(limit.admit(socket(), "10.0.0.1"), undefined);
  assert.is(limit.admit(socket(), "127.0.0.1")?.status, 503);
});

tests("the network of an address", () => {
  for (const [address, network] of [
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["2001:DB8:00a:b:c:d:e:f", "2001:db8:a:b::/64"],
    ["2001:db8::f", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
  ])
    assert.is(networkOf(address!), network);
});

tests("who asks to take over does so by subprotocol or header", () => {
  for (const headers of [
    { "sec-websocket-protocol": "take-over" },
    { "sec-websocket-protocol": "nbd,token.x, take-over" },
    { "nbd-take-over": "1" },
  ])
    assert.ok(asksToTakeOver(headers));
  for (const headers of [{}, { "sec-websocket-protocol": "nbd, take-overs" }, { "nbd-take-over": "0" }])
    assert.not.ok(asksToTakeOver(headers));
});

tests.run();

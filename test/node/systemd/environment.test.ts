/** What systemd says in the environment, and what it reads in units. */
import { setTimeout } from "node:timers/promises";
import * as assert from "uvu/assert";
import { takeNamedSockets } from "../../../src/node/socket-activation.ts";
import { quoteWord } from "../../../src/node/systemd/quote-word.ts";
import { serviceManager } from "../../../src/node/systemd/service-manager.ts";
import { readAddress, unixAddress } from "../../../src/node/systemd/socket-address.ts";
import { feedWatchdog, watchdogTime } from "../../../src/node/systemd/watchdog.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { hex } from "../../bytes.ts";
import { suite, until } from "../../harness.ts";

const tests = suite("the environment of a service");

const pid = String(process.pid);

tests("sockets have their names, and the variables are gone", () => {
  const env = { LISTEN_PID: pid, LISTEN_FDS: "2", LISTEN_FDNAMES: "http:disk", OTHER: "1" };
  assert.equal(takeNamedSockets(env), [
    { fd: 3, name: "http" },
    { fd: 4, name: "disk" },
  ]);
  assert.equal(env, { OTHER: "1" } as unknown as typeof env);
  assert.throws(() => takeNamedSockets({ LISTEN_PID: pid, LISTEN_FDS: "1" }), /has 0 names for 1 sockets/);
});

tests("what names the service manager is gone, also where it cannot be told anything", async () => {
  const env = { NOTIFY_SOCKET: "nowhere", WATCHDOG_USEC: "1", WATCHDOG_PID: pid, OTHER: "1" };
  const lines: string[] = [];
  const manager = await serviceManager((line) => lines.push(line), env);
  await manager.ready("");
  manager.close();
  assert.equal(env, { OTHER: "1" } as unknown as typeof env);
  assert.is(lines.length, 1);
});

tests("the time of the watchdog", () => {
  assert.is(watchdogTime({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: pid }), 30_000);
  assert.is(watchdogTime({ WATCHDOG_USEC: "1500" }), 1.5);
  for (const WATCHDOG_USEC of ["0", "-1", "soon", "", "1e9"])
    assert.is(watchdogTime({ WATCHDOG_USEC }), undefined, WATCHDOG_USEC);
});

tests("while a sign of life waits for a manager that is stuck, no other is given", async () => {
  let waiting = deferred<void>();
  let signs = 0;
  const starve = feedWatchdog(2, () => {
    signs++;
    return waiting.promise;
  });
  try {
    await until("the first", () => signs === 1);
    // Timers of one time run in order: so many of the watchdog's are over.
    for (let i = 0; i < 20; i++) await setTimeout(2);
    assert.is(signs, 1);
    for (const next of [2, 3]) {
      const before = waiting;
      waiting = deferred();
      before.resolve();
      await until("the next", () => signs === next);
    }
  } finally {
    starve();
    waiting.resolve();
  }
});

tests("names of unix sockets", () => {
  assert.equal(unixAddress("/a").subarray(2), hex("2f 61 00"));
  assert.equal(unixAddress("@a").subarray(2), hex("00 61"));
  assert.equal(readAddress(unixAddress("/run/a.sock")), { path: "/run/a.sock" });
  assert.is(readAddress(unixAddress("@a")), undefined);
  for (const name of ["", "@", "/", "a", "vsock:1:2", "/a\0b"])
    assert.throws(() => unixAddress(name), /neither a path/, JSON.stringify(name));
  assert.throws(() => unixAddress(`/${"a".repeat(107)}`), /more than 107 bytes/);
});

tests("addresses as the kernel writes them", () => {
  const family = (number: number) => [...new Uint8Array(Uint16Array.of(number).buffer)];
  const inet = Uint8Array.of(...family(2), 0x1f, 0x40, 127, 0, 0, 1, ...new Uint8Array(8));
  assert.equal(readAddress(inet), { host: "127.0.0.1", port: 8000 });
  const six = (...last: number[]) =>
    Uint8Array.of(...family(10), 0, 80, 0, 0, 0, 0, ...new Uint8Array(16 - last.length), ...last, 0, 0, 0, 0);
  assert.equal(readAddress(six(1)), { host: "::1", port: 80 });
  assert.equal(readAddress(six(0xff, 0xff, 10, 0, 0, 1)), { host: "10.0.0.1", port: 80 });
  assert.is(readAddress(inet.subarray(0, 6)), undefined);
  assert.is(readAddress(six(1).subarray(0, 20)), undefined);
  assert.is(readAddress(new Uint8Array(2)), undefined);
});

tests("words of a command line in a unit", () => {
  assert.is(quoteWord("/usr/bin/node"), "/usr/bin/node");
  assert.is(quoteWord('/a b/"c"'), '"/a b/\\"c\\""');
  assert.is(quoteWord("/100%/$x"), "/100%%/$$x");
  assert.is(quoteWord("/a\\b"), '"/a\\\\b"');
  assert.throws(() => quoteWord("/a\nExecStart=b"), /control characters/);
});

tests.run();

/** Wrong tokens: how many an address has, and what counts as one address. */
import * as assert from "uvu/assert";
import { Attempts, neighbourhood } from "../../../src/node/login/attempts.ts";
import {
  credentialOf,
  hasCredentialInQuery,
  withoutCredentials,
} from "../../../src/node/login/credentials.ts";
import { suite } from "../../harness.ts";

const tests = suite("wrong tokens");

tests("an address has ten a minute, and learns when it has more", () => {
  let now = 0;
  const attempts = new Attempts(() => now);
  for (let i = 0; i < 10; i++) assert.is(attempts.fail("192.0.2.1"), 0);
  assert.is(attempts.fail("192.0.2.1"), 60);
  now = 30_500;
  assert.is(attempts.fail("192.0.2.1"), 30);
  assert.is(attempts.fail("192.0.2.2"), 0);
  now = 60_000;
  for (let i = 0; i < 10; i++) assert.is(attempts.fail("192.0.2.1"), 0);
  assert.is(attempts.fail("192.0.2.1"), 60);
});

tests("what is remembered is bounded", () => {
  const attempts = new Attempts(() => 0);
  for (let i = 0; i < 11; i++) attempts.fail("192.0.2.1");
  for (let i = 0; i < 4096; i++) attempts.fail(`10.0.${i >> 8}.${i & 255}`);
  assert.is(attempts.fail("192.0.2.1"), 0, "it was forgotten");
});

tests("IPv6 counts by 64 bits, and loopback as one", () => {
  for (const [one, other, isSame] of [
    ["2001:db8:1:2::1", "2001:db8:1:2:ffff::1", true],
    ["2001:db8:1:2::1", "2001:0db8:0001:0002:0:0:0:9", true],
    ["2001:db8::1", "2001:db8:0:0:5::", true],
    ["2001:db8:1:2::1", "2001:db8:1:3::1", false],
    ["fe80::1%eth0", "fe80::2%eth1", true],
    ["127.0.0.1", "127.9.9.9", true],
    ["127.0.0.1", "::1", true],
    ["127.0.0.1", "::ffff:127.0.0.1", true],
    ["192.0.2.1", "::ffff:192.0.2.1", true],
    ["192.0.2.1", "192.0.2.2", false],
    ["::", "::2", true],
  ] as const) {
    assert.is(neighbourhood(one) === neighbourhood(other), isSame, `${one} ${other}`);
  }
});

const TOKEN = `${"a".repeat(42)}-`;

tests("a credential is found where it may be, and nowhere else", () => {
  const of = (headers: Record<string, string>, isWebSocket = true) =>
    credentialOf(headers, isWebSocket, "c")?.secret;
  assert.is(of({ authorization: `bearer  ${TOKEN}` }), TOKEN);
  assert.is(of({ authorization: `Basic ${TOKEN}` }), undefined);
  assert.is(of({ "sec-websocket-protocol": `nbd,token.${TOKEN}` }), TOKEN);
  assert.is(of({ "sec-websocket-protocol": TOKEN }), TOKEN);
  assert.is(of({ "sec-websocket-protocol": TOKEN }, false), undefined);
  assert.is(of({ "sec-websocket-protocol": `${TOKEN}, ${TOKEN}` }), undefined);
  assert.is(of({ "sec-websocket-protocol": "nbd" }), undefined);
  assert.is(of({ cookie: `cc=1; c=${TOKEN}; c=2` }), TOKEN);
  assert.is(of({ cookie: `xc=${TOKEN}` }), undefined);
  assert.is(credentialOf({ cookie: `c=${TOKEN}` }, true, undefined), undefined);
  // What a client says counts for what its browser adds.
  assert.is(of({ authorization: "Bearer x", cookie: `c=${TOKEN}` }), "x");
});

tests("a query has no token, and no line of the log", () => {
  for (const target of ["/?token=x", "/a?b=c&TOKEN=", "/?access_token=1", `/?x=${TOKEN}`, `/?s.${TOKEN}`])
    assert.ok(hasCredentialInQuery(target), target);
  for (const target of ["/", "/token", "/?x", "/?tokens=1", "/a?name=token"])
    assert.not.ok(hasCredentialInQuery(target), target);
  assert.is(withoutCredentials(`/a?token=${TOKEN}`), "/a?…");
  assert.is(withoutCredentials(`/#${TOKEN}`), "/#…");
  assert.is(withoutCredentials(`/${TOKEN}`), "/…");
  assert.is(withoutCredentials(`http://x/s.${TOKEN}/b`), "http://x/s.…/b");
});

tests.run();

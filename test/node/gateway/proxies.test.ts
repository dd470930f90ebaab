/** What is believed of a reverse proxy, and of nobody else. */
import * as assert from "uvu/assert";
import { Proxies } from "../../../src/node/gateway/proxies.ts";
import { ipAddress } from "../../../src/node/ip-address.ts";
import { failure } from "../../bytes.ts";
import { suite } from "../../suite.ts";

const tests = suite("proxies");

const tcp = new Proxies(["10.0.0.1", "10.0.0.2", "2001:DB8:0::1"]);
const unix = new Proxies(["unix:/run/x.sock", "10.0.0.2"]);

type Headers = Record<string, string>;
const forwarded = (proto?: string, host?: string, hops?: string): Headers => ({
  host: "inner:8000",
  ...(proto !== undefined && { "x-forwarded-proto": proto }),
  ...(host !== undefined && { "x-forwarded-host": host }),
  ...(hops !== undefined && { "x-forwarded-for": hops }),
});

/** From whom, with what; and the address, whether it is secure, and the host, or the status of a refusal. */
const cases: [string, Proxies, string | undefined, Headers, [string, boolean, string] | 400 | 403][] = [
  [
    "all three headers",
    tcp,
    "10.0.0.1",
    forwarded("https", "a.example", "192.0.2.7"),
    ["192.0.2.7", true, "a.example"],
  ],
  ["none of them", tcp, "10.0.0.1", forwarded(), ["10.0.0.1", false, "inner:8000"]],
  ["plain HTTP", tcp, "10.0.0.1", forwarded("http", "a.example:81"), ["10.0.0.1", false, "a.example:81"]],
  ["capitals", tcp, "10.0.0.1", forwarded("HTTPS"), ["10.0.0.1", true, "inner:8000"]],
  [
    "a client's own words to the left",
    tcp,
    "10.0.0.1",
    forwarded(undefined, undefined, "evil, 1.1.1.1, 192.0.2.7"),
    ["192.0.2.7", false, "inner:8000"],
  ],
  [
    "two proxies in a row",
    tcp,
    "10.0.0.1",
    forwarded(undefined, undefined, "1.1.1.1, 192.0.2.7, 10.0.0.2"),
    ["192.0.2.7", false, "inner:8000"],
  ],
  [
    "proxies only",
    tcp,
    "10.0.0.1",
    forwarded(undefined, undefined, "10.0.0.2, 10.0.0.1"),
    ["10.0.0.2", false, "inner:8000"],
  ],
  [
    "ports",
    tcp,
    "10.0.0.1",
    forwarded(undefined, undefined, "192.0.2.7:4711, [2001:db8::1]:80"),
    ["192.0.2.7", false, "inner:8000"],
  ],
  [
    "IPv6",
    tcp,
    "2001:db8::1",
    forwarded("https", "[::1]:8", "2001:DB8::0:7"),
    ["2001:db8::7", true, "[::1]:8"],
  ],
  [
    "an IPv4 address that is mapped",
    tcp,
    "::ffff:10.0.0.1",
    forwarded("https", "a", "::ffff:192.0.2.7"),
    ["192.0.2.7", true, "a"],
  ],
  [
    "a unix socket",
    unix,
    undefined,
    forwarded("https", "a.example", "192.0.2.7, 10.0.0.2"),
    ["192.0.2.7", true, "a.example"],
  ],
  ["a unix socket that says nothing", unix, undefined, forwarded(), ["", false, "inner:8000"]],
  ["somebody else", tcp, "10.0.0.3", forwarded("https", "a.example", "192.0.2.7"), 403],
  ["somebody else without a word", tcp, "127.0.0.1", forwarded(), 403],
  ["a connection that is gone", tcp, undefined, forwarded("https"), 403],
  ["two schemes", tcp, "10.0.0.1", forwarded("http, https"), 400],
  ["another scheme", tcp, "10.0.0.1", forwarded("ftp"), 400],
  ["an empty scheme", tcp, "10.0.0.1", forwarded(""), 400],
  ["two hosts", tcp, "10.0.0.1", forwarded("https", "evil.example, a.example"), 400],
  ["an empty host", unix, undefined, forwarded("https", ""), 400],
  ["no address", tcp, "10.0.0.1", forwarded("https", "a", "somebody"), 400],
  ["an empty hop", tcp, "10.0.0.1", forwarded("https", "a", "192.0.2.7,"), 400],
  ["a hop too large", tcp, "10.0.0.1", forwarded("https", "a", "300.0.2.7"), 400],
];

for (const [what, proxies, remoteAddress, headers, expected] of cases) {
  tests(`of a proxy: ${what}`, () => {
    const told = proxies.originationOf({ remoteAddress }, headers);
    if (typeof expected === "number") assert.is("status" in told && told.status, expected);
    else {
      const [address, isSecure, host] = expected;
      assert.equal(told, { address, isSecure, host });
    }
  });
}

for (const entry of ["localhost", "10.0.0.0/8", "", "unix:", "unix:sock", "10.0.0.1:80", "a.example"]) {
  tests(`a proxy is not given as ${JSON.stringify(entry)}`, async () => {
    const error = await failure((async () => new Proxies([entry]))());
    assert.match(error.message, /^a proxy is given by its IP address, or as unix:PATH, not as/);
  });
}

tests("there is one unix socket at most", async () => {
  const error = await failure((async () => new Proxies(["unix:/a", "unix:/b"]))());
  assert.match(error.message, /one unix socket only/);
});

tests("an address is written in one way only", () => {
  assert.is(ipAddress("2001:DB8:0:0::1"), "2001:db8::1");
  assert.is(ipAddress("fe80::1%eth0"), "fe80::1");
  assert.is(ipAddress("::ffff:192.0.2.200"), "192.0.2.200");
  assert.is(ipAddress("::ffff:1"), "::ffff:1");
  assert.is(ipAddress("10.0.0.01"), undefined);
  assert.is(ipAddress("a"), undefined);
});

tests.run();

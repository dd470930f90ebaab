import * as assert from "uvu/assert";
import { isHostAddress, isPublicAddress, isWithin, network } from "../../../src/node/pull/public-address.ts";
import { suite } from "../../suite.ts";

const tests = suite("addresses that are public");

const PUBLIC = [
  "1.1.1.1",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.1",
  "169.253.255.255",
  "169.255.0.0",
  "172.15.255.255",
  "172.32.0.0",
  "192.167.255.255",
  "192.169.0.0",
  "198.17.255.255",
  "198.20.0.0",
  "223.255.255.255",
  "2606:4700::1111",
  "2a00:1450:4001::1",
  "2001:4860::8888",
  // Forms of 1.1.1.1: mapped, NAT64, 6to4.
  "::ffff:1.1.1.1",
  "64:ff9b::1.1.1.1",
  "2002:101:101::1",
];

/** Each range of IPv4 with its first and last address; they are looked at in each form that IPv6 has for them. */
const SPECIAL_IPV4: Readonly<Record<string, readonly string[]>> = {
  "this network": ["0.0.0.0", "0.255.255.255"],
  private: ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
  "shared by a carrier": ["100.64.0.0", "100.127.255.255"],
  loopback: ["127.0.0.0", "127.255.255.255"],
  "link-local": ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
  "of protocols": ["192.0.0.0", "192.0.0.255"],
  documentation: [
    "192.0.2.0",
    "192.0.2.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
  ],
  benchmarking: ["198.18.0.0", "198.19.255.255"],
  multicast: ["224.0.0.0", "239.255.255.255"],
  reserved: ["240.0.0.0", "255.255.255.254"],
  broadcast: ["255.255.255.255"],
};

const SPECIAL_IPV6: Readonly<Record<string, readonly string[]>> = {
  unspecified: ["::"],
  loopback: ["::1", "0:0:0:0:0:0:0:1"],
  "compatible with IPv4": ["::1.1.1.1", "::101:101", "::127.0.0.1"],
  translated: ["::ffff:0:1.1.1.1"],
  "NAT64 of a network's own": ["64:ff9b:1::1.1.1.1", "64:ff9b:1:ffff::1"],
  "without an end": ["100::1"],
  teredo: ["2001::1", "2001:0:ffff::1"],
  benchmarking: ["2001:2::1"],
  documentation: ["2001:db8::1", "3fff::1"],
  "not given out": ["4000::1", "5f00::1", "e000::1"],
  "unique local": ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  "link-local": ["fe80::1", "febf::1"],
  "site-local": ["fec0::1"],
  multicast: ["ff02::1", "ff0e::1"],
  "with a zone": ["fe80::1%eth0", "2606:4700::1111%eth0", "::1%lo"],
};

tests("public ones", () => {
  for (const address of PUBLIC) assert.ok(isPublicAddress(address), address);
});

tests("special ones of IPv4, and each form that IPv6 has for them", () => {
  for (const [kind, addresses] of Object.entries(SPECIAL_IPV4)) {
    for (const address of addresses) {
      const [a, b, c, d] = address.split(".").map(Number) as [number, number, number, number];
      const [high, low] = [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)];
      const forms = [
        address,
        `::ffff:${address}`,
        `::FFFF:${high}:${low}`,
        `0:0:0:0:0:ffff:${high}:${low}`,
        `64:ff9b::${address}`,
        `2002:${high}:${low}::1`,
      ];
      for (const form of forms) assert.not.ok(isPublicAddress(form), `${form}, ${kind}`);
    }
  }
});

tests("special ones of IPv6", () => {
  for (const [kind, addresses] of Object.entries(SPECIAL_IPV6)) {
    for (const address of addresses) assert.not.ok(isPublicAddress(address), `${address}, ${kind}`);
  }
});

tests("what is no address is not public", () => {
  for (const text of [
    "",
    "localhost",
    "1.1.1",
    "0x1.1.1.1",
    "01.1.1.1",
    "1.1.1.1:80",
    "[2606:4700::1111]",
    " ",
  ]) {
    assert.not.ok(isPublicAddress(text), text);
    assert.not.ok(isHostAddress(text), text);
  }
});

tests("a host cannot have an address that is unspecified, of a group or of all", () => {
  for (const address of ["0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255"]) {
    assert.not.ok(isHostAddress(address), address);
  }
  for (const address of ["::ffff:0.0.0.0", "64:ff9b::224.0.0.1", "2002::1", "fe80::1%eth0"]) {
    assert.not.ok(isHostAddress(address), address);
  }
  for (const address of ["127.0.0.1", "10.0.0.5", "169.254.1.1", "fe80::1", "fd00::1", "1.1.1.1", "::1"]) {
    assert.ok(isHostAddress(address), address);
  }
});

tests("networks are read, and have what is in them", () => {
  const table: readonly [text: string, whole: string | undefined][] = [
    ["10.0.0.5", "10.0.0.5/32"],
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["::ffff:10.0.0.5", "10.0.0.5/32"],
    ["fd00::/8", "fd00::/8"],
    ["fd00:0:0::1", "fd00::1/128"],
    ["10.0.0.0/33", undefined],
    ["10.0.0.0/", undefined],
    ["10.0.0.0/8/8", undefined],
    ["10.0.0.0/255.0.0.0", undefined],
    ["fe80::1%eth0", undefined],
    ["10.0.0", undefined],
    ["host", undefined],
    ["", undefined],
  ];
  for (const [text, whole] of table) assert.is(network(text), whole, text);
  const networks = ["10.1.0.0/16", "fd00::/8"];
  for (const address of ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd12::1"]) {
    assert.ok(isWithin(address, networks), address);
  }
  for (const address of ["10.0.255.255", "10.2.0.0", "fc00::1", "fd12::1%eth0", "text"]) {
    assert.not.ok(isWithin(address, networks), address);
  }
  assert.not.ok(isWithin("10.1.0.0", []));
});

tests.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseNbdUri } from "../../src/nbd/uri.ts";

const tests = suite("NBD URIs");

const tcp = (host: string, port: number, name: string) => ({ address: { host, port }, name });
const unix = (path: string, name: string) => ({ address: { path }, name });

/** Those of the specification, "NBD URI export name", are among them. */
const right: Readonly<Record<string, unknown>> = {
  "nbd://example.com/disk": tcp("example.com", 10809, "disk"),
  "nbd+unix:///disk?socket=sock": unix("sock", "disk"),
  "nbd://example.com/": tcp("example.com", 10809, ""),
  "nbd://example.com": tcp("example.com", 10809, ""),
  "nbd://example.com//disk": tcp("example.com", 10809, "/disk"),
  "nbd://example.com/hello%20world": tcp("example.com", 10809, "hello world"),
  "nbd://example.com:10809/export": tcp("example.com", 10809, "export"),
  "nbd://example.com:1/a/../b": tcp("example.com", 1, "a/../b"),
  "nbd://example.com:/x": tcp("example.com", 10809, "x"),
  "NBD://[::1]:5/%C3%A9+%2F%3F": tcp("::1", 5, "é+/?"),
  "nbd://[fe80::1]/": tcp("fe80::1", 10809, ""),
  "nbd:///name": tcp("localhost", 10809, "name"),
  "nbd://user:secret@host/name": tcp("host", 10809, "name"),
  "nbd+unix:///?socket=/run/a%20b%26c.sock": unix("/run/a b&c.sock", ""),
  "nbd+unix:///?socket=/run/a=b": unix("/run/a=b", ""),
  "nbd+unix:?socket=nbd.sock": unix("nbd.sock", ""),
};

for (const [uri, meaning] of Object.entries(right)) {
  tests(uri, () => assert.equal(parseNbdUri(uri), meaning));
}

const wrong: Readonly<Record<string, RegExp>> = {
  "nbds://host/": /there is no TLS here; use nbd:/,
  "nbds+unix:///?socket=x": /there is no TLS here/,
  "nbd://host/?tls-type=x509": /there is no TLS here/,
  "nbd+vsock://2/": /it is not an nbd:\/\/ or nbd\+unix:\/\/ URI/,
  "/dev/sda": /it is not an nbd:\/\//,
  "": /it is not an nbd:\/\//,
  "nbd:host": /"\/\/" is missing/,
  "nbd://host/#part": /has no "#…"/,
  "nbd://host/%ff": /"%ff" is not percent-encoded UTF-8/,
  "nbd://host/%4": /is not percent-encoded/,
  "nbd://host/a%00b": /no NUL/,
  "nbd://host/?socket=/x": /"socket" needs nbd\+unix/,
  "nbd://host/?sokcet=/x": /the parameter "sokcet" is unknown/,
  "nbd+unix:///disk": /\?socket=PATH is missing/,
  "nbd+unix:///?socket=": /\?socket=PATH is missing/,
  "nbd+unix:///?socket=%00abstract": /begins with NUL/,
  "nbd+unix://host/?socket=x": /has no host/,
  "nbd://::1/": /an IPv6 address in brackets/,
  "nbd://host:0/": /0 is not a valid port/,
  "nbd://host:65536/": /65536 is not a valid port/,
  "nbd://host:x/": /HOST or HOST:PORT/,
  "nbd://%1b[2Jx/": /HOST or HOST:PORT/,
  "nbd://a%1bb/": /no name of a host has/,
  "nbd://a%00b/": /no name of a host has/,
};

for (const [uri, words] of Object.entries(wrong)) {
  tests(`${uri || "nothing"} is refused in words`, () => {
    assert.throws(
      () => parseNbdUri(uri),
      (error: Error) => words.test(error.message) && /^(Type|Range)Error$/.test(error.name),
    );
  });
}

tests("a password is in no message", () => {
  for (const uri of [
    "nbds://user:secret@host/",
    "nbd://user:sec/secret@host/x",
    "nbd://user:secret@host:99999/",
    "nbd://user:secret@host:0/",
    "nbd://user:secret@host/?x=1",
  ]) {
    assert.throws(
      () => parseNbdUri(uri),
      (error: Error) => !error.message.includes("secret") && error.message.includes("host"),
    );
  }
});

tests.run();

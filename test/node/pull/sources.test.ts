import * as assert from "uvu/assert";
import { ConfigError, chooseConfiguration, parseConfig } from "../../../src/node/config/config.ts";
import { LiveConfig } from "../../../src/node/config/live-config.ts";
import { suite } from "../../suite.ts";

const tests = suite('"sources" of config.json');

const parse = (top: object, entry: object = {}) =>
  parseConfig(
    "config.json",
    JSON.stringify({ ...top, configurations: { a: { listen: "unix:/run/nbd.sock", ...entry } } }),
  );
const sourcesOf = (sources: unknown) => chooseConfiguration(parse({ sources })).sources;

tests("nothing may be fetched unless it is said", () => {
  assert.equal(chooseConfiguration(parse({})).sources, []);
});

tests("a source is a URL, or an object with one", () => {
  const sources = sourcesOf([
    "https://Mirror.example:443/iso/",
    "http://mirror.example/one file.img".replace(" ", "%20"),
    { url: "https://store.example/", queries: true },
    { url: "http://nas.lan/iso/", addresses: ["10.0.0.5", "fd00::/8"] },
    "http://10.0.0.5:8080/",
    "http://[::1]/",
    "http://localhost/",
  ]);
  const plain = { queries: false, addresses: [] };
  assert.equal(sources, [
    { url: "https://mirror.example/iso/", ...plain },
    { url: "http://mirror.example/one%20file.img", ...plain },
    { url: "https://store.example/", queries: true, addresses: [] },
    { url: "http://nas.lan/iso/", queries: false, addresses: ["10.0.0.5/32", "fd00::/8"] },
    { url: "http://10.0.0.5:8080/", ...plain },
    { url: "http://[::1]/", ...plain },
    { url: "http://localhost/", ...plain },
  ]);
});

tests("a configuration has its own in place of those at the top", () => {
  const top = { sources: ["https://top.example/"] };
  assert.is(chooseConfiguration(parse(top)).sources[0]!.url, "https://top.example/");
  const own = chooseConfiguration(parse(top, { sources: ["https://own.example/"] })).sources;
  assert.equal(
    own.map(({ url }) => url),
    ["https://own.example/"],
  );
  assert.equal(chooseConfiguration(parse(top, { sources: [] })).sources, []);
  assert.equal(parse(top, { sources: [] }).warnings, []);
});

tests("what is wrong is said with file and key, and without secrets", () => {
  const table: readonly [sources: unknown, words: RegExp][] = [
    ["https://mirror.example/", /must be a list/],
    [[5], /must be a URL, or an object with "url".*, not 5$/],
    [[null], /must be a URL, or an object.*, not null$/],
    [[["https://mirror.example/"]], /must be a URL, or an object/],
    [[{}], /must be a URL, or an object with "url"/],
    [
      [{ url: "https://mirror.example/", query: "secret" }],
      /must be a URL, or an object with "url".*, not "query"$/,
    ],
    [[{ url: 5 }], /must be an http:\/\/ or https:\/\/ URL that ends with "\/".*, not 5$/],
    [[{ url: "https://mirror.example/", queries: 1 }], /must be true or false, not 1$/],
    [[{ url: "https://mirror.example/", addresses: "10.0.0.5" }], /must be a list of IP addresses/],
    [[{ url: "https://mirror.example/", addresses: ["nas.lan"] }], /IP addresses or networks.*"nas.lan"$/],
    [[{ url: "https://mirror.example/", addresses: ["10.0.0.0/40"] }], /IP addresses or networks/],
    [[{ url: "http://10.0.0.5/", addresses: ["10.0.0.6"] }], /names itself/],
    [["mirror.example/iso/"], /it is not an http:\/\/ or https:\/\/ URL, not "mirror.example\/iso\/"$/],
    [["ftp://mirror.example/"], /it is not an http/],
    [["https://"], /it is not an http/],
    [["https://mirror.example"], /its path is missing/],
    [["https://user:secret@mirror.example/"], /a user or a password, not "https:\/\/mirror.example\/"$/],
    [["https://mirror.example/?secret"], /it has a query/],
    [["https://mirror.example/?"], /it has a query/],
    [["https://mirror.example/#secret"], /it has a "#"/],
    [["https://mirror.example/../iso/"], /segment "\."/],
    [["https://mirror.example//iso/"], /empty segment/],
    [["https://mirror.example/%2e%2e/"], /is encoded/],
    [["https://mirror.example/a b/"], /blanks or control/],
    [["https://*.example:x/"], /not a valid URL/],
    [["http://0.0.0.0/"], /0\.0\.0\.0 is no address of a host/],
    [["http://0/"], /0\.0\.0\.0 is no address of a host/],
    [["http://[::]/"], /:: is no address of a host/],
    [["http://224.0.0.1/"], /224\.0\.0\.1 is no address of a host/],
    [["http://[::ffff:0:0]/"], /is no address of a host/],
  ];
  for (const [sources, words] of table) {
    for (const [at, read] of [
      ['config.json: "sources" ', () => parse({ sources })],
      ['config.json: configuration "a": "sources" ', () => parse({}, { sources })],
    ] as const) {
      try {
        read();
        assert.unreachable(JSON.stringify(sources));
      } catch (error) {
        assert.instance(error, ConfigError, JSON.stringify(sources));
        const { message } = error as ConfigError;
        assert.ok(message.startsWith(at), message);
        assert.match(message, words);
        assert.not.match(message, /secret/);
      }
    }
  }
});

tests("sources that are changed while the gateway runs change their configuration", () => {
  const live = new LiveConfig(parse({ sources: ["https://mirror.example/"] }));
  assert.equal(live.take(parse({ sources: ["https://mirror.example/"] })).changed, []);
  assert.equal(live.take(parse({ sources: ["https://mirror.example/iso/"] })).changed, ["a"]);
  assert.is(chooseConfiguration(live).sources[0]!.url, "https://mirror.example/iso/");
});

tests.run();

/** A configuration file that is read again: what is different, and what of it holds now. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../../src/node/config/config.ts";
import { type ConfigChange, LiveConfig } from "../../../src/node/config/live-config.ts";

const tests = suite("a configuration that is read again");

const read = (configurations: Record<string, object>, keys: object = {}) =>
  parseConfig("config.json", JSON.stringify({ "state-hook": "/nowhere", ...keys, configurations }));
const at = (name: string, keys: object = {}) => ({ listen: `unix:/run/${name}.sock`, ...keys });

const NOTHING: ConfigChange = { added: [], changed: [], removed: [], now: [], later: [] };
const change = (some: Partial<ConfigChange>): ConfigChange => ({ ...NOTHING, ...some });

tests("the same file is no change", () => {
  const config = () =>
    read({ a: at("a", { default: true }), b: at("b") }, { port: 1, "allowed-hosts": ["a.example"] });
  assert.equal(new LiveConfig(config()).take(config()), NOTHING);
});

tests("configurations: new, changed and gone, from now on, as against those before", () => {
  const live = new LiveConfig(read({ a: at("a"), b: at("b"), c: at("c") }));
  const next = read({ d: at("d"), c: at("c"), a: at("a", { timeout: 7 }) });
  assert.equal(live.take(next), change({ added: ["d"], changed: ["a"], removed: ["b"] }));
  assert.equal([...live.configurations.keys()], ["d", "c", "a"]);
  assert.is(live.configurations.get("a")!.timeout, 7);
  assert.equal(live.take(next), NOTHING);
  const back = read({ a: at("a", { timeout: 7 }), b: at("b") });
  assert.equal(live.take(back), change({ added: ["b"], removed: ["d", "c"] }));
});

tests("the default, hosts and origins change now", () => {
  const live = new LiveConfig(read({ a: at("a", { default: true }), b: at("b") }));
  const keys = { "allowed-hosts": ["b.example"], "allowed-origins": ["https://b.example"] };
  const next = read({ a: at("a"), b: at("b", { default: true }) }, keys);
  assert.equal(live.take(next).now, ["default", "allowed-hosts", "allowed-origins"]);
  assert.is(live.defaultName, "b");
  assert.equal(live.allowedHosts, next.allowedHosts);
  assert.equal(live.allowedOrigins, next.allowedOrigins);
  assert.equal(live.take(next), NOTHING);
});

for (const [name, keys, named] of [
  ["port", { port: 2 }, "port"],
  ["host", { host: "::1" }, "host"],
  ["tls-self-signed", { "tls-self-signed": true }, "tls-self-signed"],
  ["token-file", { "token-file": "/var/lib/other/token" }, "token-file"],
  ["memory-mb", { "memory-mb": 17 }, "memory-mb"],
  ["max-headers", { "max-headers": 50 }, "the limits of connections"],
] as const) {
  tests(`${name} holds from the next start on, and is told until it is as it was at the start`, () => {
    const first = read({ a: at("a") });
    const live = new LiveConfig(first);
    const other = () => read({ a: at("a") }, keys);
    assert.equal(live.take(other()), change({ later: [named] }));
    for (const key of ["gateway", "tokenFile", "memory", "limits"] as const)
      assert.equal(live[key], first[key], key);
    // As against the start, not the file before: it would take effect at the next one.
    assert.equal(live.take(other()), change({ later: [named] }));
    assert.equal(live.take(read({ a: at("a") })), NOTHING);
  });
}

tests("a key of the start that is gone is told too", () => {
  const live = new LiveConfig(read({ a: at("a") }, { port: 1, host: "::1" }));
  assert.equal([...live.take(read({ a: at("a") })).later].sort(), ["host", "port"]);
});

tests.run();

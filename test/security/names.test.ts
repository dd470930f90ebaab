/** Names of configurations that get lost, or that break what they become part of; and host names that never match. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { parseConfig } from "../../src/node/config/config.ts";
import { allowedHost } from "../../src/node/host-rules.ts";
import { readToken } from "../../src/node/login/token-file.ts";
import { program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { upgrade } from "../node/raw-http.ts";
import { bearer, linesOf } from "./login-here.ts";

const tests = suite("names");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());

const configOf = (names: readonly string[], keys: object = {}) =>
  JSON.stringify({
    configurations: Object.fromEntries(
      names.map((name, i) => [
        name,
        { listen: `unix:${sandbox.path(`${i}.sock`)}`, default: i === 0, ...keys },
      ]),
    ),
  });

const REFUSED = [
  "",
  ".",
  "..",
  "/",
  "a/b",
  "a\\b",
  "a?b",
  "a#b",
  "%2e",
  "-a",
  "--metadata",
  " a",
  "a ",
  "a\nb",
  "a\0",
  "\u001b[31m",
  "\ud800",
  "a\udc00b",
  "\u202eb",
  "a\u2028b",
  "x".repeat(65),
  "__proto__",
];

for (const name of REFUSED) {
  tests(`the name ${JSON.stringify(name).slice(0, 20)} is refused`, () => {
    // JSON.stringify drops "__proto__" where it is no key of its own.
    const text = `{"configurations":{"fine":{"listen":"unix:x"},${JSON.stringify(name)}:{"listen":"unix:y"}}}`;
    assert.throws(
      () => parseConfig("config.json", text),
      ({ message }: Error) =>
        message.startsWith(`config.json: a configuration cannot be called "`) && !/\p{C}/u.test(message),
    );
  });
}

const FINE = [
  "0",
  "local",
  "two ü",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "...",
  "a.b",
  '"',
  "x".repeat(64),
  "😀",
];

tests("other names are what they are", () => {
  const { configurations, defaultName } = parseConfig("config.json", configOf(FINE.slice(1)));
  assert.equal([...configurations.keys()], FINE.slice(1));
  assert.is(defaultName, "local");
});

tests("constructor and prototype do not vanish", async () => {
  const config = sandbox.path("config.json");
  writeFileSync(config, configOf(["constructor", "prototype"], { metadata: 1 }));
  const output = await sandbox.run(program("nbd-proxy"), ["--config", config, "--metadata"]);
  assert.is(output, '{"constructor":1,"prototype":1}\n');
  const proxy = sandbox.start(program("nbd-proxy"), ["--config", config, "toString"]);
  assert.is(await within(10_000, "nbd-proxy", proxy.exit), 1);
  assert.match(proxy.stderr, /there is no configuration "toString", only "constructor", "prototype"\n$/);
});

tests("a key that is called constructor is warned of, like others without a meaning", () => {
  const { warnings } = parseConfig(
    "config.json",
    '{"configurations":{"a":{"listen":"unix:x","constructor":1}}}',
  );
  assert.equal(warnings, ['config.json: configuration "a": "constructor" is not a known key and is ignored']);
});

async function startGateway(config: string, login: readonly string[]): Promise<Running & { port: number }> {
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", ...login]);
  await until("nbd-gateway listens", () => {
    if (gateway.process.exitCode !== null) throw new Error(gateway.stderr);
    return gateway.stdout.includes("\n");
  });
  return Object.assign(gateway, { port: Number(new URL(gateway.stdout.trim()).port) });
}

/** What a gateway answers, until it ends the connection or has said what is looked for. */
async function ask(port: number, path: string, upTo: RegExp, ...headers: string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.write([`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...headers, "", ""].join("\r\n"));
  const closed = once(socket, "close");
  await within(10_000, path, Promise.race([closed, until(path, () => upTo.test(answer))]));
  socket.destroy();
  return answer;
}

tests("a gateway does not start with a name that ends it at /metadata", async () => {
  const config = sandbox.path("surrogate.json");
  writeFileSync(config, configOf(["\ud800"]));
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  assert.is(await within(10_000, "nbd-gateway", gateway.exit), 1);
  assert.match(
    gateway.stderr,
    /^nbd-gateway: \S+: a configuration cannot be called "\\u\{d800\}": a name has [^\n]+\n$/,
  );
});

for (const [what, login] of [
  ["without a login", ["--no-auth"]],
  ["with a login", ["--token-file", sandbox.path("login/token")]],
] as const) {
  tests(`paths that look like none are not the default configuration, ${what}`, async () => {
    const config = sandbox.path("config.json");
    writeFileSync(config, configOf(["only"]));
    const gateway = await startGateway(config, login);
    const [, tokenFile] = login;
    const headers = tokenFile === undefined ? [] : linesOf(bearer(readToken(tokenFile)));
    for (const path of ["/.", "/..", "/%2e", "/%2E%2e", "//", "/%00", "/%20", "/constructor"]) {
      const answer = await ask(gateway.port, path, /there is no/, ...headers, ...upgrade);
      assert.match(answer, /there is no such configuration|HTTP\/1\.1 40[04]/, path);
    }
    assert.not.match(gateway.stderr, /only: (?!its disk will be at)/);
    gateway.kill();
    await gateway.exit;
  });
}

/** What stands in the list, and the name that a browser sends; undefined: it is refused. */
const HOSTS: [string, string | undefined][] = [
  ["console.example", "console.example"],
  ["Console.EXAMPLE", "console.example"],
  ["console.example.", "console.example"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["my_host-1", "my_host-1"],
  ["192.0.2.1", "192.0.2.1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["2001:db8::1", "2001:db8::1"],
  ["", undefined],
  [".", undefined],
  ["a..example", undefined],
  ["console.example:8000", undefined],
  ["http://console.example", undefined],
  ["console.example/", undefined],
  ["console.example/path", undefined],
  ["user@console.example", undefined],
  ["*", undefined],
  ["*.example", undefined],
  [".example", undefined],
  [" console.example", undefined],
  ["console.example ", undefined],
  ["a, b", undefined],
  ["a b", undefined],
  ["a\u00a0b", undefined],
  ["a\u00adb", undefined],
  ["a%62", undefined],
  ["a\tb", undefined],
  ["a?", undefined],
  ["[::1]:80", undefined],
  [`${"x".repeat(64)}.example`, undefined],
  [`${"x.".repeat(127)}xx`, undefined],
];

for (const [entry, name] of HOSTS) {
  tests(
    `"allowed-hosts": ${JSON.stringify(entry).slice(0, 40)} is ${name ?? "refused, with the key"}`,
    () => {
      assert.is(allowedHost(entry), name);
      const text = JSON.stringify({ "allowed-hosts": [entry], configurations: { a: { listen: "unix:x" } } });
      if (name !== undefined) assert.equal(parseConfig("config.json", text).allowedHosts, [name]);
      else
        assert.throws(
          () => parseConfig("config.json", text),
          /^config\.json: "allowed-hosts" must be a host name alone, such as "console\.example", without scheme, port, path, blanks or "\*", not "/,
        );
    },
  );
}

tests.run();

import { mkdirSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { formatAddress, parseAddress } from "../../../src/node/config/address.ts";
import {
  ConfigError,
  chooseConfiguration,
  metadataOf,
  parseConfig,
  readConfig,
} from "../../../src/node/config/config.ts";
import { placeOf } from "../../../src/node/config/place-of.ts";
import { Sandbox, suite } from "../../harness.ts";

const tests = suite("config.json");

const parse = (text: string | object) =>
  parseConfig("config.json", typeof text === "string" ? text : JSON.stringify(text));
const listen = "unix:/run/nbd.sock";

tests("what is right is read, and the top's keys are filled in", () => {
  const config = parse({
    timeout: 7,
    "state-hook": "/top",
    "allowed-hosts": ["bmc.example"],
    "block-size": 2048,
    connections: 4,
    configurations: {
      a: { listen, metadata: { description: "first" } },
      b: { listen: "tcp:[::1]:10809", timeout: 0, "state-hook": "/own", default: true },
      "0": { "nbd-device": "/dev/nbd0", default: false, connections: 2 },
    },
  });
  assert.equal(config.configurations.get("a"), {
    name: "a",
    file: "config.json",
    target: { listen: { path: "/run/nbd.sock" }, maxClients: 64 },
    timeout: 7,
    stateHook: "/top",
    readOnly: false,
    takeOver: true,
    takeOverInterval: 10,
    resume: 300,
    resumeForeign: false,
    window: {},
    keepAlive: 20,
    sources: [],
    metadata: { description: "first" },
  });
  assert.equal(config.configurations.get("b")!.target, {
    listen: { host: "::1", port: 10809 },
    maxClients: 64,
  });
  assert.is(config.configurations.get("b")!.timeout, 0);
  assert.is(config.configurations.get("b")!.stateHook, "/own");
  assert.equal(config.configurations.get("0")!.target, {
    nbdDevice: "/dev/nbd0",
    settings: { "block-size": 2048, connections: 2 },
  });
  assert.is(chooseConfiguration(config).name, "b");
  assert.is(chooseConfiguration(config, "0").name, "0");
  assert.equal(config.allowedHosts, ["bmc.example"]);
  assert.equal(config.warnings, []);
  assert.equal(metadataOf(config), { "0": null, a: { description: "first" }, b: null });
});

tests("what is not said has the contract's defaults", () => {
  const { timeout, stateHook, metadata } = chooseConfiguration(parse({ configurations: { a: { listen } } }));
  assert.equal(
    { timeout, stateHook, metadata },
    { timeout: 30, stateHook: "/etc/nbd-proxy/state", metadata: null },
  );
});

tests("memory, in MiB, is of the whole process; clients are of a listener", () => {
  const configurations = { a: { listen }, b: { listen, "max-clients": 1 } };
  assert.is(parse({ configurations }).memory, 96 * 2 ** 20);
  const config = parse({ "memory-mb": 65_536, "max-clients": 4096, configurations });
  assert.is(config.memory, 2 ** 36);
  const clients = ["a", "b"].map((name) => {
    const { target } = chooseConfiguration(config, name);
    return "listen" in target && target.maxClients;
  });
  assert.equal(clients, [4096, 1]);
  for (const [key, value] of [
    ["memory-mb", 15],
    ["memory-mb", 65_537],
    ["memory-mb", 16.5],
    ["max-clients", 0],
    ["max-clients", 4097],
    ["insecure", "yes"],
  ]) {
    assert.throws(() => parse({ [key!]: value, configurations }), new RegExp(`"${key}" must be `));
  }
});

tests("what a link is asked for, in KiB, and how often it says something", () => {
  const configurations = { a: { listen }, b: { listen, "window-kb": 64, "request-kb": 64, "keep-alive": 0 } };
  const found = (keys: object) =>
    ["a", "b"].map((name) => {
      const { window, keepAlive } = chooseConfiguration(parse({ ...keys, configurations }), name);
      return [window, keepAlive];
    });
  const own = [{ outstanding: 1 << 16, request: 1 << 16 }, 0];
  assert.equal(found({}), [[{}, 20], own]);
  const keys = { "window-kb": 32_768, "request-kb": 4096, "keep-alive": 1.5 };
  assert.equal(found(keys), [[{ outstanding: 1 << 25, request: 1 << 22 }, 1.5], own]);
  for (const [key, value] of [
    ["window-kb", 15],
    ["window-kb", 32_769],
    ["window-kb", "512"],
    ["request-kb", 3],
    ["request-kb", 4097],
    ["keep-alive", 0.5],
    ["keep-alive", -1],
    ["keep-alive", 86_401],
    ["keep-alive", "never"],
  ]) {
    assert.throws(() => parse({ [key!]: value, configurations }), new RegExp(`"${key}" must be `));
    const one = { a: { listen, [key!]: value } };
    assert.throws(() => parse({ configurations: one }), new RegExp(`"a": "${key}" must be `));
  }
  assert.throws(
    () => parse({ "window-kb": 256, configurations: { a: { listen, "request-kb": 512 } } }),
    'config.json: configuration "a": "request-kb" is 512, more than "window-kb", which is 256; a request must fit in the window',
  );
});

tests("OpenBMC's own file is taken as it is", () => {
  const device = (number: number, description: string) => ({
    "nbd-device": `/dev/nbd${number}`,
    metadata: { description },
  });
  const config = parse({
    timeout: 30,
    configurations: { "0": device(0, "Virtual media device"), "1": device(1, "Dump Offload") },
  });
  assert.equal(config.warnings, []);
  const { target, stateHook, timeout } = chooseConfiguration(config, "0");
  assert.equal(target, { nbdDevice: "/dev/nbd0", settings: {} });
  assert.equal([stateHook, timeout], ["/etc/nbd-proxy/state", 30]);
});

tests("permissions: of one configuration, or of all", () => {
  const configurations = {
    a: { listen },
    b: { listen, "read-only": false, "take-over": true, "take-over-interval": 0.5 },
  };
  const keys = { "read-only": true, "take-over": false, "take-over-interval": 60 };
  const found = ["a", "b"].map((name) => {
    const { readOnly, takeOver, takeOverInterval } = chooseConfiguration(
      parse({ ...keys, configurations }),
      name,
    );
    return [readOnly, takeOver, takeOverInterval];
  });
  assert.equal(found, [
    [true, false, 60],
    [false, true, 0.5],
  ]);
  for (const [key, value] of [
    ["read-only", "yes"],
    ["take-over", 1],
    ["take-over-interval", -1],
    ["take-over-interval", "10"],
  ]) {
    assert.throws(() => parse({ [key!]: value, configurations }), new RegExp(`"${key}" must be `));
    const one = { a: { listen, [key!]: value } };
    assert.throws(() => parse({ configurations: one }), new RegExp(`"a": "${key}" must be `));
  }
});

tests("how long a lost link is waited for: of one configuration, or of all", () => {
  const configurations = { a: { listen }, b: { listen, resume: 0, "resume-foreign": false } };
  const found = ["a", "b"].map((name) => {
    const { resume, resumeForeign } = chooseConfiguration(
      parse({ resume: 86_400, "resume-foreign": true, configurations }),
      name,
    );
    return [resume, resumeForeign];
  });
  assert.equal(found, [
    [86_400, true],
    [0, false],
  ]);
  for (const [key, value] of [
    ["resume", -1],
    ["resume", 86_401],
    ["resume", "300"],
    ["resume-foreign", 1],
  ]) {
    assert.throws(() => parse({ [key!]: value, configurations }), new RegExp(`"${key}" must be `));
  }
});

tests("the limits of the gateway have defaults, and bounds", () => {
  const configurations = { a: { listen } };
  assert.equal(parse({ configurations }).limits, {
    webSockets: 256,
    webSocketsPerAddress: 64,
    handshakeTime: 10_000,
    idleTime: 5000,
    headerBytes: 16_384,
    headers: 100,
    frameBytes: 2 ** 25 + 64,
    eventListeners: 64,
  });
  const keys = {
    "max-websockets": [1, 4096],
    "max-websockets-per-address": [1, 4096],
    "handshake-timeout": [1, 60],
    "idle-timeout": [1, 600],
    "max-header-kb": [1, 64],
    "max-headers": [16, 1000],
    "max-frame-mb": [2, 32],
    "max-event-listeners": [1, 1024],
  };
  for (const [key, [least, most]] of Object.entries(keys)) {
    for (const value of [least!, most!]) parse({ [key]: value, configurations });
    for (const value of [least! - 1, most! + 1, "10"])
      assert.throws(() => parse({ [key]: value, configurations }), new RegExp(`"${key}" must be a `));
    const { warnings } = parse({ configurations: { a: { listen, [key]: least } } });
    assert.match(warnings[0]!, new RegExp(`"${key}" is not a known key`), "it is of the whole gateway");
  }
});

tests("a listener's key where there is none is warned of", () => {
  const { warnings } = parse({
    "max-clients": 3,
    configurations: { "0": { "nbd-device": "/dev/nbd0", "max-clients": 1, insecure: true } },
  });
  assert.equal(
    warnings,
    ["max-clients", "insecure"].map(
      (key) => `config.json: configuration "0": "${key}" has no meaning with "nbd-device" and is ignored`,
    ),
  );
});

tests("a device's key where there is none is warned of", () => {
  const { warnings } = parse({ configurations: { a: { listen, "read-ahead-kb": 1 } } });
  assert.equal(warnings, [
    'config.json: configuration "a": "read-ahead-kb" has no meaning with "listen" and is ignored',
  ]);
});

tests("the place of each configuration is told, as text", () => {
  const configurations = {
    device: { "nbd-device": "/dev/nbd0" },
    path: { listen },
    relative: { listen: "unix:./nbd.sock" },
    name: { listen: "unix:nbd.sock" },
    port: { listen: "tcp:[::1]:10809" },
  };
  const { RUNTIME_DIRECTORY } = process.env;
  process.env.RUNTIME_DIRECTORY = "/run/first/:/run/second";
  try {
    const places = [...parse({ configurations }).configurations.values()].map(placeOf);
    assert.equal(places, [
      "/dev/nbd0",
      "unix:/run/nbd.sock",
      "unix:./nbd.sock",
      "unix:/run/first/nbd.sock",
      "tcp:[::1]:10809",
    ]);
    process.env.RUNTIME_DIRECTORY = `/${"x".repeat(100)}`;
    assert.throws(
      () => parse({ configurations }),
      /"name": "listen": the path of a unix socket has at most 107 bytes/,
    );
  } finally {
    process.env.RUNTIME_DIRECTORY = RUNTIME_DIRECTORY;
    if (RUNTIME_DIRECTORY === undefined) delete process.env.RUNTIME_DIRECTORY;
  }
});

tests("how the gateway is reached is told as it stands there; a socket's mode is of that socket only", () => {
  const gateway = {
    host: "10.0.0.1",
    port: 443,
    "tls-cert": "/c.pem",
    "tls-key": "/k.pem",
    "behind-proxy": ["10.0.0.2", "unix:/run/x.sock"],
    "socket-mode": "0660",
    "socket-group": "0",
  };
  const own = { listen: "unix:/a", "socket-mode": "0640", "socket-group": "7" };
  const text = JSON.stringify({ ...gateway, configurations: { own, other: { listen: "unix:/b" } } });
  const config = parseConfig("config.json", text);
  const { "tls-self-signed": none, ...rest } = config.gateway;
  assert.equal([none, rest], [undefined, gateway]);
  const permissions = [...config.configurations.values()].map(
    ({ target }) => "listen" in target && target.socketPermissions,
  );
  assert.equal(permissions, [{ mode: 0o640, group: 7 }, undefined]);
  assert.equal(config.warnings, []);
});

const unreachable: [string, unknown, RegExp][] = [
  ["host", "", /"host" must be a host name or an IP address/],
  ["host", "a b", /"host" must be/],
  ["port", 65536, /"port" must be 0 to 65535, not 65536/],
  ["port", "80", /"port" must be 0 to 65535, not "80"/],
  ["tls-cert", 1, /"tls-cert" must be a path/],
  ["tls-self-signed", "yes", /"tls-self-signed" must be true or false/],
  ["behind-proxy", "10.0.0.1", /"behind-proxy" must be a list/],
  ["behind-proxy", ["localhost"], /"behind-proxy" must be a list: a proxy is given by its IP address/],
  ["socket-mode", 0o660, /"socket-mode" must be octal digits/],
  ["socket-mode", "0666", /"socket-mode" must be .*others never/],
  ["socket-mode", "0400", /"socket-mode" must be/],
  ["socket-mode", "0770", /"socket-mode" must be/],
  ["socket-group", "no such group", /"socket-group" must be the name or the number of a group/],
];
for (const [key, value, words] of unreachable) {
  tests(`a wrong value of ${key}: ${JSON.stringify(value)}`, () => {
    const text = JSON.stringify({ [key]: value, configurations: { a: { listen: "unix:/a" } } });
    assert.throws(() => parseConfig("config.json", text), words);
  });
}

tests("a byte order mark is no error", () => {
  assert.is(parse(`\ufeff{"configurations":{"a":{"listen":"${listen}"}}}`).configurations.size, 1);
});

tests("keys without a meaning are warned of", () => {
  const { warnings } = parse({
    extra: 1,
    configurations: { a: { listen, nbd_device: 0, metadata: { any: 1 } } },
  });
  assert.equal(warnings, [
    'config.json: "extra" is not a known key and is ignored',
    'config.json: configuration "a": "nbd_device" is not a known key and is ignored',
  ]);
});

tests("__proto__ is no way in", () => {
  assert.throws(
    () => parse(`{"configurations":{"__proto__":{"listen":"${listen}"}}}`),
    /cannot be called "__proto__"/,
  );
  const sneaky = parse(
    `{"__proto__":{"timeout":1},"configurations":{"a":{"listen":"${listen}","__proto__":{"timeout":2}}}}`,
  );
  assert.is(chooseConfiguration(sneaky).timeout, 30);
  for (const name of ["__proto__", "constructor", "toString"]) {
    assert.throws(() => chooseConfiguration(sneaky, name), `there is no configuration "${name}", only "a"`);
  }
});

tests("the first file that is there is read, and a named one only", async () => {
  const sandbox = new Sandbox();
  try {
    const candidates = [sandbox.path("etc.json"), sandbox.path("here.json")];
    const failure = async (file?: string) => {
      try {
        await readConfig(file, candidates);
      } catch (error) {
        assert.instance(error, ConfigError);
        return (error as Error).message;
      }
      throw new Error("it was read");
    };
    assert.is(
      await failure(),
      `there is no ${candidates.join(" and no ")}; name a configuration file with --config`,
    );
    const write = (file: string, name: string) =>
      writeFileSync(file, JSON.stringify({ configurations: { [name]: { listen } } }));
    write(candidates[1]!, "here");
    assert.is((await readConfig(undefined, candidates)).defaultName, "here");
    write(candidates[0]!, "etc");
    assert.is((await readConfig(undefined, candidates)).defaultName, "etc");
    assert.is((await readConfig(candidates[1], candidates)).defaultName, "here");
    assert.match(await failure(sandbox.path("missing.json")), /missing\.json: there is no such file$/);
    assert.match(
      await failure(sandbox.path("latin\ufffd.json")),
      /; a name that is not UTF-8 cannot be read here$/,
    );
    // One that is there but cannot be read must not be passed over for the next.
    const folder = sandbox.path("folder.json");
    mkdirSync(folder);
    candidates.unshift(folder);
    assert.is(await failure(), `reading the configuration file ${folder}: it is a directory`);
  } finally {
    await sandbox.end();
  }
});

for (const text of ["unix:/a b", "unix:relative", "tcp:localhost:0", "tcp:127.0.0.1:65535", "tcp:[::1]:1"]) {
  tests(`the address ${text}`, () => assert.is(formatAddress(parseAddress(text)!), text));
}
for (const text of [
  "",
  "unix:",
  "/path",
  "tcp:",
  "tcp:host",
  "tcp:host:",
  "tcp::1:1",
  "tcp:h:65536",
  "tcp:h:-1",
  "udp:h:1",
  " unix:/a",
  "unix:.",
  "unix:..",
  "unix:\0abstract",
]) {
  tests(`no address: ${JSON.stringify(text)}`, () => assert.is(parseAddress(text), undefined));
}

tests.run();

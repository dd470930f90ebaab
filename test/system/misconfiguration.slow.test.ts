import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { version } from "../../package.json";
import { needing, program, Sandbox, suite, within } from "../harness.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("misconfigurations of nbd-proxy");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const listen = "unix:here.sock";
const seconds = "must be a number of seconds from 0 to 2147483";

/** A config.json, as text or as what becomes it, and the line that it gives after "nbd-proxy: config.json". */
const files: [string | object, string][] = [
  ["", " is not JSON: "],
  ['{ "timeout": 30,', " is not JSON: "],
  ["null", ": the file must be an object, not null"],
  ["[]", ": the file must be an object, not a list"],
  ['"text"', ': the file must be an object, not "text"'],
  [{}, ': "configurations" is missing'],
  [{ configurations: [] }, ': "configurations" must be an object of configurations, not a list'],
  [{ configurations: null }, ': "configurations" must be an object of configurations, not null'],
  [{ configurations: "local" }, ': "configurations" must be an object of configurations, not "local"'],
  [{ configurations: {} }, ': "configurations" is empty'],
  [{ configurations: { a: null } }, ': configuration "a" must be an object, not null'],
  [{ configurations: { a: [] } }, ': configuration "a" must be an object, not a list'],
  [{ configurations: { a: listen } }, `: configuration "a" must be an object, not "${listen}"`],
  [
    { configurations: { a: {} } },
    ': configuration "a" has neither "nbd-device" nor "listen"; it needs one of them',
  ],
  [
    { configurations: { a: { listen, "nbd-device": "/dev/nbd0" } } },
    ': configuration "a" has both "nbd-device" and "listen"; it needs one of them',
  ],
  [
    { configurations: { a: { "nbd-device": "/dev/null" } } },
    ': configuration "a": "nbd-device": /dev/null is not a block device',
  ],
  [
    { configurations: { a: { "nbd-device": "config.json" } } },
    ': configuration "a": "nbd-device": config.json is not a block device',
  ],
  ...[513, "512", 0].map((value): [object, string] => [
    { configurations: { a: { "nbd-device": "/dev/nbd0", "block-size": value } } },
    `: configuration "a": "block-size" must be 512, 1024, 2048 or 4096, not ${JSON.stringify(value)}`,
  ]),
  ...[-1, 1.5, "1"].map((value): [object, string] => [
    { "read-ahead-kb": value, configurations: { a: { "nbd-device": "/dev/nbd0" } } },
    `: "read-ahead-kb" must be a whole number of KiB from 0 to 1048576, not ${JSON.stringify(value)}`,
  ]),
  [
    { configurations: { a: { "nbd-device": "/dev/nbd0", "max-request-kb": 32769 } } },
    ': configuration "a": "max-request-kb" must be a whole number of KiB from 4 to 32768, not 32769',
  ],
  [
    { configurations: { a: { "nbd-device": "/dev/nbd0", connections: 0 } } },
    ': configuration "a": "connections" must be a whole number of sockets from 1 to 16, not 0',
  ],
  [{ configurations: { a: { "nbd-device": 0 } } }, ': configuration "a": "nbd-device" must be a path, not 0'],
  [
    { configurations: { a: { "nbd-device": "" } } },
    ': configuration "a": "nbd-device" must be a path, not ""',
  ],
  ...[
    5,
    null,
    "/tmp/nbd.sock",
    "",
    "unix:",
    "unix:..",
    "unix:\0x",
    "tcp:localhost",
    "tcp:localhost:65536",
    "tcp:localhost:x",
  ].map((value): [object, string] => [
    { configurations: { a: { listen: value } } },
    `: configuration "a": "listen" must be "unix:PATH" or "tcp:HOST:PORT", not ${JSON.stringify(value)}`,
  ]),
  [
    { configurations: { a: { listen: `unix:/${"x".repeat(107)}` } } },
    ': configuration "a": "listen": the path of a unix socket has at most 107 bytes, this one 108',
  ],
  ...["30", -1, null, 2147484, [30]].map((value): [object, string] => [
    { timeout: value, configurations: { a: { listen } } },
    `: "timeout" ${seconds}, not ${Array.isArray(value) ? "a list" : JSON.stringify(value)}`,
  ]),
  ['{"timeout":1e999,"configurations":{"a":{"listen":"unix:x"}}}', `: "timeout" ${seconds}, not Infinity`],
  ['{"timeout":NaN,"configurations":{"a":{"listen":"unix:x"}}}', " is not JSON: "],
  [{ configurations: { a: { listen, timeout: "1" } } }, `: configuration "a": "timeout" ${seconds}, not "1"`],
  [
    { configurations: { a: { listen, default: "yes" } } },
    ': configuration "a": "default" must be true or false, not "yes"',
  ],
  [
    { configurations: { a: { listen, default: 1 } } },
    ': configuration "a": "default" must be true or false, not 1',
  ],
  [{ "state-hook": true, configurations: { a: { listen } } }, ': "state-hook" must be a path, not true'],
  [
    { configurations: { a: { listen, "state-hook": {} } } },
    ': configuration "a": "state-hook" must be a path, not an object',
  ],
  [
    { "allowed-hosts": ["console.example:8000"], configurations: { a: { listen } } },
    ': "allowed-hosts" must be a host name alone, such as "console.example", without scheme, port, path, blanks or "*", not "console.example:8000"',
  ],
  [
    { "allowed-hosts": "x", configurations: { a: { listen } } },
    ': "allowed-hosts" must be a list of host names, not "x"',
  ],
  [
    { "allowed-hosts": [1], configurations: { a: { listen } } },
    ': "allowed-hosts" must be a host name, not 1',
  ],
  [
    { configurations: { a: { listen, default: true }, b: { listen, default: true } } },
    ': "default" is true in configurations "a" and "b"; only one can be the default',
  ],
  [
    { configurations: { a: { listen }, b: { listen } } },
    ': no configuration has "default": true; name one of "a", "b"',
  ],
  ['{"configurations":{"__proto__":{"listen":"unix:x"}}}', ': a configuration cannot be called "__proto__"'],
];

tests(
  "each wrong file gives its one line, and exit status 1, before anything was opened",
  async ({ sandbox }) => {
    const check = async ([content, line]: (typeof files)[number], i: number) => {
      const cwd = sandbox.path(String(i));
      mkdirSync(cwd);
      const text = typeof content === "string" ? content : JSON.stringify(content);
      writeFileSync(`${cwd}/config.json`, text);
      const running = sandbox.start(program("nbd-proxy"), ["--config", "config.json"], { cwd });
      assert.is(await within(20_000, "nbd-proxy", running.exit), 1, text);
      // What JSON.parse finds wrong it says in words that change with Node's version.
      const said = running.stderr.replace(/( is not JSON: ).+/, "$1");
      assert.is(said, `nbd-proxy: config.json${line}\n`, text);
      assert.is(running.stdout, "", text);
      assert.not.ok(existsSync(`${cwd}/here.sock`));
    };
    const left = files.entries();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (const [i, row] of left) await check(row, i);
      }),
    );
  },
);

needing(tests, ["modprobe", "unshare"])(
  "a device that is not there: modprobe is tried, and what it said is passed on",
  async ({ sandbox }) => {
    const configurations = { a: { "nbd-device": sandbox.path("nbd7") } };
    writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations }));
    const here = `nbd-proxy: config.json: configuration "a": "nbd-device": there is no ${sandbox.path("nbd7")}, `;
    for (const [script, line] of [
      [
        "echo 'modprobe: FATAL: there is none' >&2; exit 1",
        "and loading the module nbd failed: modprobe: FATAL: there is none",
      ],
      ["exit 0", "although the module nbd is loaded; load it with a larger nbds_max"],
    ]) {
      const calls = sandbox.path("calls");
      writeFileSync(sandbox.path("modprobe"), `#!/bin/sh\necho "$@" >> ${calls}\n${script}\n`, {
        mode: 0o755,
      });
      // In the place of the real one, for this program only.
      const mount = 'mount --bind modprobe "$(readlink -f /usr/sbin/modprobe)" && exec "$@"';
      const command = [process.execPath, program("nbd-proxy"), "--config", "config.json"];
      const running = sandbox.start("unshare", ["--mount", "sh", "-c", mount, "sh", ...command]);
      assert.is(await within(20_000, "nbd-proxy", running.exit), 1);
      assert.is(running.stderr, `${here}${line}\n`);
    }
    assert.is(readFileSync(sandbox.path("calls"), "utf8"), "nbd\nnbd\n");
  },
);

/** Arguments beside a config.json that is right, and the line that they give. */
const argumentLists: [string[], string][] = [
  [["--config", "missing.json"], "reading the configuration file missing.json: there is no such file"],
  [["--config", "."], "reading the configuration file .: it is a directory"],
  [["--config", ""], 'reading the configuration file "": there is no such file'],
  [["--config"], "Option '--config <value>' argument missing; see nbd-proxy --help"],
  [["--config", "config.json", "other"], 'config.json: there is no configuration "other", only "0", "local"'],
  [
    ["--config", "config.json", "__proto__"],
    'config.json: there is no configuration "__proto__", only "0", "local"',
  ],
  [["--config", "config.json", "local", "0"], "at most one CONFIGURATION, not 2; see nbd-proxy --help"],
  [["--listen", "x"], "Unknown option '--listen'; see nbd-proxy --help"],
];

for (const [args, line] of argumentLists) {
  tests(`nbd-proxy ${args.join(" ")}`, async ({ sandbox }) => {
    const configurations = { local: { listen, default: true }, "0": { "nbd-device": "/dev/nbd0" } };
    writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations }));
    const running = sandbox.start(program("nbd-proxy"), args);
    assert.is(await within(20_000, "nbd-proxy", running.exit), 1);
    assert.is(running.stderr, `nbd-proxy: ${line}\n`);
    assert.is(running.stdout, "");
  });
}

tests(
  "without --config and a file: the places are named; for root ./config.json is none",
  async ({ sandbox }) => {
    if (existsSync("/etc/nbd-proxy/config.json")) return;
    const isRoot = process.geteuid?.() === 0;
    const absent = sandbox.start(program("nbd-proxy"), []);
    assert.is(await within(20_000, "nbd-proxy", absent.exit), 1);
    assert.is(
      absent.stderr,
      `nbd-proxy: there is no /etc/nbd-proxy/config.json${isRoot ? ", and as root ./config.json is not read" : " and no ./config.json"}; name a configuration file with --config\n`,
    );
    if (isRoot) return;
    writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations: { found: { listen } } }));
    assert.is(await sandbox.run(program("nbd-proxy"), ["--metadata"]), '{"found":null}\n');
  },
);

tests("--metadata, with null for a configuration without; unknown keys only warn", async ({ sandbox }) => {
  const configurations = { a: { listen, metadata: { description: "disc" } }, b: { listen, typo: 1 } };
  writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations }));
  const running = sandbox.start(program("nbd-proxy"), ["--config", "config.json", "--metadata"]);
  assert.is(await within(20_000, "nbd-proxy", running.exit), 0);
  assert.equal(JSON.parse(running.stdout), { a: { description: "disc" }, b: null });
  assert.is(
    running.stderr,
    'nbd-proxy: config.json: configuration "b": "typo" is not a known key and is ignored\n',
  );
});

tests("--help and --version of each program", async ({ sandbox }) => {
  for (const name of ["nbd-proxy", "nbd-gateway", "nbd-serve"] as const) {
    assert.match(await sandbox.run(program(name), ["--help"]), new RegExp(`^Usage: ${name} `));
    assert.is(await sandbox.run(program(name), ["--version"]), `${name} ${version}\n`);
  }
});

needing(tests, ["script"])("a terminal on standard input is refused", async ({ sandbox }) => {
  writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations: { a: { listen } } }));
  const command = (redirection: string) =>
    `${process.execPath} ${program("nbd-proxy")} --config config.json ${redirection}`;
  for (const [redirection, which] of [
    ["", "standard input"],
    ["< /dev/null", "standard output"],
  ] as const) {
    const terminal = sandbox.start("script", [
      "--quiet",
      "--return",
      "--command",
      command(redirection),
      "/dev/null",
    ]);
    assert.is(await within(20_000, "script", terminal.exit), 1);
    assert.is(
      terminal.stdout.replace(/\r/g, "").trim(),
      `nbd-proxy: ${which} is a terminal; connect it to the other side, as it carries NBD`,
    );
  }
});

const others: ["nbd-gateway" | "nbd-serve", string[], string][] = [
  [
    "nbd-gateway",
    ["--config", "missing.json"],
    "reading the configuration file missing.json: there is no such file",
  ],
  ["nbd-gateway", ["--port", "x"], '--port must be 0 to 65535, not "x"'],
  ["nbd-gateway", ["--port", "65536"], '--port must be 0 to 65535, not "65536"'],
  ["nbd-gateway", ["local"], 'unexpected argument "local"; see nbd-gateway --help'],
  ["nbd-serve", [], 'an IMAGE and a URL, or "-", are needed; see nbd-serve --help'],
  ["nbd-serve", ["a", "b", "c"], 'an IMAGE and a URL, or "-", are needed; see nbd-serve --help'],
  ["nbd-serve", ["missing.img", "-"], "opening missing.img: there is no such file"],
  ["nbd-serve", [".", "-"], "opening .: it is a folder, and neither a file nor a block device"],
  [
    "nbd-serve",
    ["config.json", "image.iso"],
    '"image.iso" is not the URL of a gateway (http, https), nor of a relay (ws, wss)',
  ],
  ["nbd-serve", ["config.json", "ws://"], '"ws://" is not a ws:// or wss:// URL'],
  ["nbd-serve", ["config.json", "ws://localhost:99999/"], "ws://localhost:99999/: 99999 is not a valid port"],
  ["nbd-serve", ["config.json", "ws://127.0.0.1:1/"], "ws://127.0.0.1:1/: nothing listens there"],
];

for (const [name, args, line] of others) {
  tests(`${name} ${args.join(" ")}`, async ({ sandbox }) => {
    writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations: { a: { listen } } }));
    const running = sandbox.start(program(name), args);
    assert.is(await within(20_000, name, running.exit), 1);
    assert.is(running.stderr, `${name}: ${line}\n`);
    assert.is(running.stdout, "");
  });
}

tests.run();

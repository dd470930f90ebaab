/** Attacks of local users, and of what a relay's other side sends, on nbd-proxy and nbd-gateway that run as root. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { deviceIndex } from "../../src/node/kernel/device-node.ts";
import { trustedPath } from "../../src/node/trusted-path.ts";
import { needing, program, type Running, Sandbox, suite, within } from "../harness.ts";
import { attached, pattern } from "../system/link.ts";
import { as, asRoot, copyOfProxy, SOMEBODY, SOMEBODY_ELSE, startServed } from "./others.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("local privilege");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  writeFileSync(context.sandbox.path("disk.img"), pattern(4096));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** A folder that others can look into. */
function makeFolder(path: string, mode = 0o755): string {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  return path;
}

/** A config.json in a folder, whose hook is there too and leaves a mark. */
function writeEvil(folder: string, keys: object = {}) {
  const hook = join(folder, "state");
  const mark = join(folder, "mark");
  writeFileSync(hook, `#!/bin/sh\necho "$@" >> ${mark}\n`, { mode: 0o755 });
  const entry = { listen: `unix:${join(folder, "nbd.sock")}`, "state-hook": hook, ...keys };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ configurations: { local: entry } }));
  return { config: join(folder, "config.json"), hook, mark };
}

const proxy = (...args: string[]): [string, string[]] => [program("nbd-proxy"), args];

/** Waits for an end with exit status 1 and returns the one line that was said. */
async function complaint(running: Running): Promise<string> {
  assert.is(await within(20_000, "its end", running.exit), 1, running.stderr);
  assert.match(running.stderr, /^nbd-\w+: [^\n]+\n$/);
  return running.stderr.replace(/^nbd-\w+: /, "").trimEnd();
}

asRoot(tests)("root does not believe ./config.json", async ({ sandbox }) => {
  if (existsSync("/etc/nbd-proxy/config.json")) return;
  const folder = makeFolder(sandbox.path("downloads"));
  const { mark } = writeEvil(folder);
  for (const running of [
    startServed(sandbox, proxy(), { cwd: folder }),
    sandbox.start(program("nbd-gateway"), ["--port", "0"], { cwd: folder }),
  ]) {
    assert.is(
      await complaint(running),
      "there is no /etc/nbd-proxy/config.json, and as root ./config.json is not read; name a configuration file with --config",
    );
  }
  assert.not.ok(existsSync(mark), "its hook did not run");
});

needing(asRoot(tests), ["setpriv"])("others do, where it is their own", async ({ sandbox }) => {
  if (existsSync("/etc/nbd-proxy/config.json")) return;
  chmodSync(sandbox.folder, 0o755);
  const copy = copyOfProxy(sandbox);
  const folder = makeFolder(sandbox.path("home"));
  const { config } = writeEvil(folder);
  // As a umask of 002 leaves them.
  for (const [path, mode] of [
    [folder, 0o775],
    [config, 0o664],
  ] as const) {
    chownSync(path, SOMEBODY, SOMEBODY);
    chmodSync(path, mode);
  }
  const [command, args] = as(SOMEBODY, [process.execPath, copy, "--metadata"]);
  assert.is(await sandbox.run(command, args, { cwd: folder }), '{"local":null}\n');
  chownSync(config, SOMEBODY_ELSE, SOMEBODY_ELSE);
  const refused = sandbox.start(command, args, { cwd: folder });
  assert.match(
    await complaint(refused),
    /^reading the configuration file \.\/config\.json: not safe, as .* belongs to /,
  );
});

/** What others may do to a path, and what is said of it. */
const loose: [string, (path: string) => void, RegExp][] = [
  [
    "is written by a group",
    (path) => chmodSync(path, statSync(path).mode | 0o020),
    /can be written by group 0; "chmod g-w/,
  ],
  [
    "is written by everybody",
    (path) => chmodSync(path, statSync(path).mode | 0o002),
    /can be written by everybody; "chmod go-w/,
  ],
  [
    "is somebody's",
    (path) => chownSync(path, SOMEBODY, 0),
    new RegExp(`belongs to user ${SOMEBODY}, who is neither root`),
  ],
];
/** Where others may do it. */
const places: [string, (folder: string, file: string) => string][] = [
  ["file", (_folder, file) => file],
  ["folder", (folder) => folder],
  ["folder above", (folder) => dirname(folder)],
];

asRoot(tests)("what others can change is not believed, wherever on the way they can", ({ sandbox }) => {
  for (const [where, pathOf] of places) {
    for (const [what, loosen, words] of loose) {
      const folder = makeFolder(sandbox.path(`${where} ${what}/above/folder`));
      const file = join(folder, "file");
      writeFileSync(file, "");
      assert.is(trustedPath(file).path, file);
      loosen(pathOf(folder, file));
      assert.throws(() => trustedPath(file), words, `${where} ${what}`);
    }
  }
});

for (const [i, [where, pathOf]] of places.entries()) {
  const [what, loosen, words] = loose[i]!;

  asRoot(tests)(`a configuration whose ${where} ${what} is refused`, async ({ sandbox }) => {
    const { config, mark } = writeEvil(makeFolder(sandbox.path("above/folder")));
    loosen(pathOf(dirname(config), config));
    const line = await complaint(startServed(sandbox, proxy("--config", config)));
    assert.ok(line.startsWith(`reading the configuration file ${config}: not safe, as `), line);
    assert.match(line, words);
    assert.not.ok(existsSync(mark), "its hook did not run");
  });

  asRoot(tests)(
    `a state hook whose ${where} ${what} is refused, before anything is opened`,
    async (context) => {
      const { sandbox } = context;
      const { hook, mark } = writeEvil(makeFolder(sandbox.path("above/folder")));
      const { config } = writeEvil(makeFolder(sandbox.path("safe")), { "state-hook": hook });
      loosen(pathOf(dirname(hook), hook));
      const recording = sandbox.path("recording");
      for (const running of [
        startServed(sandbox, proxy("--config", config, "--record", recording)),
        sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0"]),
      ]) {
        const line = await complaint(running);
        assert.ok(line.startsWith(`the state hook ${hook}: not safe, as `), line);
        assert.match(line, words);
      }
      assert.not.ok(existsSync(mark), "it did not run");
      assert.not.ok(existsSync(recording));
      assert.not.ok(existsSync(sandbox.path("safe/nbd.sock")));
    },
  );
}

asRoot(tests)("a state hook that has become unsafe since the start is not run", async ({ sandbox }) => {
  const { config, hook, mark } = writeEvil(makeFolder(sandbox.path("folder")));
  const running = startServed(sandbox, proxy("--config", config));
  await attached(running);
  chmodSync(hook, 0o777);
  running.kill();
  assert.is(await within(5000, "nbd-proxy", running.exit), 1);
  assert.match(
    running.stderr,
    /\nnbd-proxy: the state hook \S+: not safe, as \S+ can be written by everybody/,
  );
  assert.is(readFileSync(mark, "utf8"), "start local\n");
});

asRoot(tests)("symbolic links are judged, with what they lead through", ({ sandbox }) => {
  const safe = makeFolder(sandbox.path("safe"));
  const loose = makeFolder(sandbox.path("loose"));
  const shared = makeFolder(sandbox.path("shared"), 0o1777);
  writeFileSync(join(safe, "file"), "");
  writeFileSync(join(loose, "file"), "");
  chmodSync(loose, 0o777);
  const link = (target: string, path: string) => {
    symlinkSync(target, path);
    return path;
  };
  const good = [
    link("file", join(safe, "relative")),
    link(join(safe, "file"), join(safe, "absolute")),
    link("../safe", join(shared, "folder")),
  ];
  for (const path of [...good, join(shared, "folder/relative")])
    assert.not.throws(() => trustedPath(path), path);
  assert.is(trustedPath(`${shared}/folder/../safe/absolute`).path, join(safe, "file"));

  const theirs = link(join(safe, "file"), join(shared, "theirs"));
  lchownSync(theirs, SOMEBODY, SOMEBODY);
  assert.throws(() => trustedPath(theirs), /shared\/theirs belongs to user/);
  assert.throws(
    () => trustedPath(link("../loose/file", join(safe, "astray"))),
    /loose can be written by everybody/,
  );
  // Lexically the way leads through safe folders only.
  link(loose, join(safe, "aside"));
  assert.throws(() => trustedPath(`${safe}/aside/../safe/file`), /loose can be written by everybody/);
  const here = process.cwd();
  try {
    process.chdir(sandbox.folder);
    assert.is(trustedPath("./safe/relative").path, join(safe, "file"));
    assert.throws(() => trustedPath("safe/aside/../safe/file"), /loose can be written by everybody/);
  } finally {
    process.chdir(here);
  }
  assert.throws(() => trustedPath(link("around", join(safe, "around"))), /too many symbolic links/);
});

asRoot(tests)("what belongs to the owner of the program's own files is believed", async ({ sandbox }) => {
  const copy = copyOfProxy(sandbox);
  const { config } = writeEvil(makeFolder(sandbox.path("home")));
  chownSync(config, SOMEBODY, SOMEBODY);
  const metadata = ["--config", config, "--metadata"];
  assert.match(await complaint(sandbox.start(process.execPath, [copy, ...metadata])), /belongs to user/);
  await sandbox.run("chown", ["-R", `${SOMEBODY}:${SOMEBODY}`, sandbox.path("installed")]);
  assert.is(await sandbox.run(process.execPath, [copy, ...metadata]), '{"local":null}\n');
});

tests("npm start names its file, and says what it does as root", () => {
  const { scripts } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  assert.match(scripts.start, /id -u/);
  assert.match(scripts.start, /exec dist\/bin\/nbd-gateway\.js --config config\.json$/);
});

tests(
  "the hook gets a fixed environment: nothing of ours, nor of a relay's other side",
  async ({ sandbox }) => {
    const folder = makeFolder(sandbox.path("folder"));
    const { config, hook } = writeEvil(folder);
    const seen = sandbox.path("seen");
    writeFileSync(hook, `#!/bin/sh\npwd -P > ${seen}\ntr '\\0' '\\n' < /proc/$$/environ >> ${seen}\n`);
    const env = {
      HTTP_PROXY: "http://evil.example/",
      HTTP_HOST: "127.0.0.1",
      SECRET: "hunter2",
      HOME: folder,
      IFS: "/",
      PATH: `${folder}:${process.env.PATH}`,
    };
    const running = startServed(sandbox, proxy("--config", config), { env, cwd: folder });
    await attached(running);
    const [here, ...variables] = readFileSync(seen, "utf8").trim().split("\n");
    assert.is(here, "/");
    assert.equal(variables.map((variable) => variable.replace(/^HOME=.*/, "HOME=")).sort(), [
      "HOME=",
      "LANG=C.UTF-8",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
    assert.not.ok(variables.includes(`HOME=${folder}`), "the home of the user, not of the environment");
  },
);

tests("modprobe is not looked up in PATH, nor in the current folder", async ({ sandbox }) => {
  const mark = sandbox.path("mark");
  writeFileSync(sandbox.path("modprobe"), `#!/bin/sh\necho run > ${mark}\n`, { mode: 0o755 });
  const { PATH } = process.env;
  const here = process.cwd();
  try {
    process.chdir(sandbox.folder);
    for (const path of [sandbox.folder, "", undefined]) {
      if (path === undefined) delete process.env.PATH;
      else process.env.PATH = path;
      await deviceIndex(sandbox.path("nbd7")).then(
        () => assert.unreachable(),
        ({ message }: Error) => assert.match(message, /there is no \S+nbd7, /),
      );
    }
  } finally {
    process.env.PATH = PATH;
    process.chdir(here);
  }
  assert.not.ok(existsSync(mark));
});

tests("a hook that is named without a folder is not looked up in PATH", async ({ sandbox }) => {
  const folder = makeFolder(sandbox.path("folder"));
  const { config, mark } = writeEvil(folder, { "state-hook": "state" });
  const evil = writeEvil(makeFolder(sandbox.path("evil")));
  const env = { PATH: `${dirname(evil.hook)}:${process.env.PATH}` };
  const running = startServed(sandbox, proxy("--config", config), { env, cwd: folder });
  await attached(running);
  assert.is(readFileSync(mark, "utf8"), "start local\n");
  assert.not.ok(existsSync(evil.mark));
});

tests("a recording is a new file: it overwrites no other and follows no link", async ({ sandbox }) => {
  const { config } = writeEvil(makeFolder(sandbox.path("folder")));
  const precious = sandbox.path("precious");
  writeFileSync(precious, "precious", { mode: 0o644 });
  const link = sandbox.path("link");
  symlinkSync(precious, link);
  const dangling = sandbox.path("dangling");
  symlinkSync(sandbox.path("nowhere"), dangling);
  for (const path of [precious, link, dangling]) {
    const line = await complaint(startServed(sandbox, proxy("--config", config, "--record", path)));
    assert.is(line, `recording to ${path}: the file exists already; name a new one`);
  }
  assert.is(readFileSync(precious, "utf8"), "precious");
  assert.not.ok(existsSync(sandbox.path("nowhere")));

  const recording = sandbox.path("recording");
  const umask = process.umask(0);
  try {
    await attached(startServed(sandbox, proxy("--config", config, "--record", recording)));
  } finally {
    process.umask(umask);
  }
  assert.is(statSync(recording).mode & 0o777, 0o600);
});

/** What is not a file and may wait for ever, or never end. */
const notFiles: [string, (path: string, sandbox: Sandbox) => Promise<string>][] = [
  [
    "FIFO",
    async (path, sandbox) => {
      await sandbox.run("mkfifo", [path]);
      return path;
    },
  ],
  [
    "socket",
    async (path) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(path, resolve));
      server.unref();
      return path;
    },
  ],
  ["terminal", async () => "/dev/ptmx"],
  ["device", async () => "/dev/zero"],
  ["folder", async (path) => makeFolder(path)],
];

for (const [what, make] of notFiles) {
  tests(`a ${what} as --config or --record: one line, exit status 1`, async ({ sandbox }) => {
    const path = await make(sandbox.path("it"), sandbox);
    const { config } = writeEvil(makeFolder(sandbox.path("folder")));
    const asConfig = await complaint(startServed(sandbox, proxy("--config", path)));
    const fault =
      what === "folder" ? "it is a directory" : "it is not a file but a pipe, a socket or a device";
    assert.is(asConfig, `reading the configuration file ${path}: ${fault}`);
    const asRecording = await complaint(startServed(sandbox, proxy("--config", config, "--record", path)));
    assert.is(asRecording, `recording to ${path}: the file exists already; name a new one`);
  });
}

tests("a configuration that is too long is not read", async ({ sandbox }) => {
  const config = sandbox.path("config.json");
  writeFileSync(config, " ".repeat((1 << 20) + 1));
  const running = sandbox.start(program("nbd-gateway"), ["--config", config]);
  assert.is(await complaint(running), `reading the configuration file ${config}: it has more than 1 MiB`);
});

const NAMED = { listen: "unix:nbd.sock" };

tests("a socket that is named without a folder lies in the service manager's", async ({ sandbox }) => {
  const { config } = writeEvil(makeFolder(sandbox.path("folder")), NAMED);
  const env = { RUNTIME_DIRECTORY: `${sandbox.path("run")}:/nowhere` };
  const running = startServed(sandbox, proxy("--config", config), { env });
  assert.is(await attached(running), `unix:${sandbox.path("run/nbd.sock")}`);
  assert.is(statSync(sandbox.path("run")).mode & 0o777, 0o700);
  assert.is(statSync(sandbox.path("run/nbd.sock")).mode & 0o777, 0o600);
});

needing(asRoot(tests), ["unshare"])("for root it lies in /run/nbd-proxy", async ({ sandbox }) => {
  const { config } = writeEvil(makeFolder(sandbox.path("folder")), NAMED);
  // A /run of its own, which the test has not.
  const script = `mount -t tmpfs none /run && exec "$@"`;
  const command = [
    "--mount",
    "sh",
    "-c",
    script,
    "sh",
    process.execPath,
    ...proxy("--config", config).flat(),
  ];
  const running = startServed(sandbox, ["unshare", command]);
  assert.is(await attached(running), "unix:/run/nbd-proxy/nbd.sock");
  const folder = `/proc/${running.pid}/root/run/nbd-proxy`;
  assert.is(statSync(folder).mode & 0o777, 0o700);
});

/** Somebody's folder for sockets, as others left it before. */
const squatted: [string, (folder: string) => void, RegExp][] = [
  [
    "is somebody else's",
    (folder) => {
      mkdirSync(folder, { mode: 0o777 });
      chownSync(folder, SOMEBODY_ELSE, SOMEBODY_ELSE);
    },
    new RegExp(`belongs to user ${SOMEBODY_ELSE}, who is neither you, root nor the owner of this program`),
  ],
  [
    "is a link of somebody else's",
    (folder) => {
      symlinkSync("/var/tmp", folder);
      lchownSync(folder, SOMEBODY_ELSE, SOMEBODY_ELSE);
    },
    new RegExp(`belongs to user ${SOMEBODY_ELSE}`),
  ],
  [
    "is open to others",
    (folder) => {
      mkdirSync(folder);
      chownSync(folder, SOMEBODY, SOMEBODY);
      chmodSync(folder, 0o755);
    },
    /is open to others; "chmod 700 /,
  ],
];

for (const [what, squat, words] of [...squatted, ["is not there", () => {}, undefined] as const]) {
  needing(asRoot(tests), ["setpriv"])(`the folder for sockets in /tmp ${what}`, async ({ sandbox }) => {
    const folder = `/tmp/nbd-proxy-${SOMEBODY}`;
    chmodSync(sandbox.folder, 0o755);
    const { config } = writeEvil(makeFolder(sandbox.path("folder")), { ...NAMED, "state-hook": "/nowhere" });
    const command = [process.execPath, copyOfProxy(sandbox), "--config", config];
    squat(folder);
    try {
      const running = startServed(sandbox, as(SOMEBODY, command), {
        cwd: "/",
        env: { XDG_RUNTIME_DIR: "/tmp" },
      });
      if (words) {
        const line = await complaint(running);
        assert.ok(
          line.startsWith(
            `${config}: configuration "local": "listen": unix:${folder}/nbd.sock: not safe, as ${folder} `,
          ),
          line,
        );
        assert.match(line, words);
        return;
      }
      assert.is(await attached(running), `unix:${folder}/nbd.sock`);
      const { mode, uid } = lstatSync(folder);
      assert.equal([mode & 0o777, uid], [0o700, SOMEBODY]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

for (const named of ["absolute", "relative"] as const) {
  tests(
    `a socket in a folder that everybody may write to is refused, by its ${named} path`,
    async ({ sandbox }) => {
      const shared = makeFolder(sandbox.path("shared"), 0o777);
      const listen = named === "absolute" ? `unix:${shared}/nbd.sock` : "unix:./shared/nbd.sock";
      const { config } = writeEvil(makeFolder(sandbox.path("folder")), { listen });
      const line = await complaint(startServed(sandbox, proxy("--config", config)));
      assert.is(
        line,
        `${config}: configuration "local": "listen": ${listen}: not safe, as ${shared} can be written by everybody; "chmod go-w ${shared}" mends that`,
      );
      assert.not.ok(existsSync(join(shared, "nbd.sock")));

      // As /tmp is, where others cannot put theirs in its place.
      chmodSync(shared, 0o1777);
      const running = startServed(sandbox, proxy("--config", config));
      await attached(running);
      assert.ok(existsSync(join(shared, "nbd.sock")));
    },
  );
}

tests("what a hook left running when it ended by itself is not ended", async ({ sandbox }) => {
  const { config, hook } = writeEvil(makeFolder(sandbox.path("folder")));
  const pids = sandbox.path("pids");
  writeFileSync(
    hook,
    `#!/bin/sh\n[ "$1" = stop ] || { sleep 600 < /dev/null 2> /dev/null & echo $! > ${pids}; }\n`,
  );
  const running = startServed(sandbox, proxy("--config", config));
  await attached(running);
  running.kill();
  assert.is(await within(5000, "nbd-proxy", running.exit), 0, running.stderr);
  const left = Number(readFileSync(pids, "utf8"));
  assert.ok(existsSync(`/proc/${left}`));
  process.kill(left, "SIGKILL");
});

tests.run();

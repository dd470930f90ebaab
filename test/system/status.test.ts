/** What an operator sees of a gateway: nbd-gateway --status, what Prometheus scrapes, and the log of a whole session. */
import { chownSync, copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { readToken } from "../../src/node/login/token-file.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { randomImage } from "../image.ts";
import { checkStatus } from "../node/gateway/status-schema.ts";
import { bearer } from "../security/login-here.ts";

interface Context {
  sandbox: Sandbox;
  gateway: Running;
  url: string;
}

const tests = suite<Context>("what an operator sees");
const SIZE = 1 << 20;

const socketOf = ({ sandbox }: Context) => sandbox.path("nbd.sock");
const uriOf = (context: Context) => `nbd+unix:///?socket=${socketOf(context)}`;

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  await randomImage(context.sandbox.path("disk.img"), SIZE);
});
tests.after.each(({ sandbox }) => sandbox.end());

async function start(context: Context, ...options: string[]): Promise<void> {
  const { sandbox } = context;
  const config = sandbox.path("config.json");
  const local = { listen: `unix:${socketOf(context)}`, resume: 60 };
  const cd = { "nbd-device": "/dev/nbd99" };
  writeFileSync(
    config,
    JSON.stringify({ "state-hook": "/nowhere", configurations: { local: { ...local, default: true }, cd } }),
  );
  context.gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", ...options]);
  await until("the gateway listens", () => /https?:\/\/\S+/.test(context.gateway.stdout));
  [context.url] = /https?:\/\/\S+/.exec(context.gateway.stdout)!;
}

async function serve(context: Context): Promise<Running> {
  const { sandbox, url } = context;
  const tokenFile = ["--token-file", sandbox.path("token")];
  const serving = sandbox.start(program("nbd-serve"), [...tokenFile, sandbox.path("disk.img"), url]);
  await until("the disk is there", () => existsSync(socketOf(context)));
  return serving;
}

/** Runs `nbd-gateway --status`. */
async function status({ sandbox, url }: Context, ...options: string[]) {
  const args = ["--status", "--token-file", sandbox.path("token"), ...options];
  const running = sandbox.start(program("nbd-gateway"), [...args, url]);
  const exit = await within(30_000, "the status", running.exit);
  return { exit, stdout: running.stdout, stderr: running.stderr };
}

const read = (context: Context) => context.sandbox.run("nbdcopy", [uriOf(context), "null:"]);

needing(tests, ["nbdcopy"])(
  "--status tells how it is in words, as JSON, and by its exit status",
  async (context) => {
    await start(context);
    const free = await status(context);
    assert.is(free.exit, 0, free.stderr);
    assert.match(
      free.stdout,
      /^nbd-gateway \d\S*, up for \d+ s\nlocal: free, unix socket\ncd: free, \/dev\/nbd99\n$/,
    );

    const serving = await serve(context);
    await read(context);
    const attached = await status(context);
    assert.is(attached.exit, 0);
    assert.match(
      attached.stdout,
      /^local: attached, unix socket\n {2}disk\.img, 1\.0 MB, read-only, from 127\.0\.0\.1, for \d+ s, session [0-9a-f]{8}\n {2}1\.0 MB in \d+ reads?, /m,
    );
    const json = await status(context, "--json");
    assert.is(json.exit, 0);
    checkStatus(JSON.parse(json.stdout));

    serving.kill("SIGKILL");
    await until("the link is lost", () => context.gateway.stderr.includes("the link is lost"));
    const waiting = await status(context);
    assert.is(waiting.exit, 1);
    assert.match(waiting.stdout, /^local: waiting, .*\n.*\n {2}the link is lost; waited for \d+ s more\n/m);
    assert.is((await status(context, "--json")).exit, 1);

    context.gateway.kill();
    await context.gateway.exit;
    const none = await status(context);
    assert.equal([none.exit, none.stdout], [2, ""]);
    assert.match(none.stderr, /^nbd-gateway: [^\n]*nothing listens there\n$/);
  },
);

tests(
  "--status with a token that is not the right one is refused, and the exit status says so",
  async (context) => {
    await start(context);
    writeFileSync(context.sandbox.path("other"), `${"x".repeat(43)}\n`, { mode: 0o600 });
    const args = ["--status", "--token-file", context.sandbox.path("other"), context.url];
    const running = context.sandbox.start(program("nbd-gateway"), args);
    assert.is(await within(30_000, "the status", running.exit), 2);
    assert.is(running.stdout, "");
    assert.match(running.stderr, /^nbd-gateway: [^\n]+\n$/);
  },
);

for (const [what, args] of [
  ["is not known", ["--status", "--nothing"]],
  ["is one too many", ["--status", "http://127.0.0.1:1/", "surplus"]],
  ["names no format", ["--log-format", "words", "--status"]],
  ["names no file", ["--status", "--config", "/nowhere/config.json"]],
] as const) {
  tests(`--status with an argument that ${what} fails as where there is no answer`, async ({ sandbox }) => {
    const running = sandbox.start(program("nbd-gateway"), args);
    assert.is(await within(30_000, "the status", running.exit), 2);
    assert.is(running.stdout, "");
    assert.match(running.stderr, /^nbd-gateway: [^\n]+\n$/);
  });
}

tests("--status tells a disk that could not be there", async (context) => {
  await start(context);
  const { sandbox, url } = context;
  const tokenFile = ["--token-file", sandbox.path("token")];
  const serving = sandbox.start(program("nbd-serve"), [...tokenFile, sandbox.path("disk.img"), `${url}cd`]);
  await within(30_000, "the refusal", serving.exit);
  const failed = await status(context);
  assert.is(failed.exit, 1);
  assert.match(
    failed.stdout,
    /^cd: free, \/dev\/nbd99\n {2}failed \d+ s ago: this machine has no place for the disk/m,
  );
});

needing(tests, ["nbdcopy", "promtool"])("promtool finds nothing wrong with /metrics", async (context) => {
  await start(context);
  const headers = bearer(readToken(context.sandbox.path("token")));
  const scrape = async (name: string) => {
    const text = await (await fetch(new URL("metrics", context.url), { headers })).text();
    writeFileSync(context.sandbox.path(name), text);
    // It says what it finds, and is content with what is no mistake.
    const told = await context.sandbox.run("sh", [
      "-c",
      `promtool check metrics < ${context.sandbox.path(name)} 2>&1`,
    ]);
    assert.is(told, "");
    return text;
  };
  assert.match(await scrape("free"), /^nbd_configuration_state\{configuration="local",state="free"\} 1$/m);
  await serve(context);
  await read(context);
  const text = await scrape("attached");
  assert.match(text, /^nbd_configuration_state\{configuration="local",state="attached"\} 1$/m);
  assert.match(
    text,
    new RegExp(`^nbd_request_bytes_total\\{configuration="local",command="read"\\} ${SIZE}$`, "m"),
  );
});

const SESSION = [
  /^local: its disk will be at unix:\S+nbd\.sock$/,
  /^cd: its disk will be at \/dev\/nbd99$/,
  /^the token is in \S+token$/,
  /^local: 1048576 bytes, read-only, on unix:\S+nbd\.sock$/,
  /^local: ended after \d+ s, 1\.0 MB in \d+ reads?$/,
];

/** Runs one session, from the start of the gateway to its end. */
async function wholeSession(context: Context, ...options: string[]): Promise<string[]> {
  await start(context, ...options);
  const serving = await serve(context);
  await read(context);
  serving.kill();
  await serving.exit;
  await until("its end is told", () => context.gateway.stderr.includes("ended after"));
  context.gateway.kill();
  assert.is(await within(30_000, "its end", context.gateway.exit), 0);
  return context.gateway.stderr.trimEnd().split("\n");
}

function matchAll(lines: readonly string[], patterns: readonly RegExp[]): void {
  assert.is(lines.length, patterns.length, lines.join("\n"));
  for (const [i, pattern] of patterns.entries()) assert.match(lines[i]!, pattern);
}

needing(tests, ["nbdcopy"])(
  "the log of a whole session, for people: nothing is said twice",
  async (context) => {
    const lines = await wholeSession(context);
    for (const line of lines) assert.match(line, /^nbd-gateway: /);
    matchAll(
      lines.map((line) => line.replace("nbd-gateway: ", "")),
      SESSION,
    );
  },
);

needing(tests, ["nbdcopy", "jq"])(
  "the same as JSON, which jq reads: each line of a session has its id",
  async (context) => {
    const lines = await wholeSession(context, "--log-format", "json");
    writeFileSync(context.sandbox.path("log"), `${lines.join("\n")}\n`);
    const jq = (filter: string) =>
      context.sandbox.run("jq", ["--raw-output", filter, context.sandbox.path("log")]);
    const text = await jq('if .configuration then "\\(.configuration): " else "" end + .message');
    matchAll(text.trimEnd().split("\n"), SESSION);
    const ids = (await jq("select(.session) | .session")).trimEnd().split("\n");
    assert.is(ids.length, 2);
    assert.match(ids[0]!, /^[0-9a-f]{8}$/);
    assert.is(ids[0], ids[1]);
    assert.equal(new Set((await jq(".level")).trimEnd().split("\n")), new Set(["info"]));
    assert.match(await jq(".time"), /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n)+$/);
  },
);

needing(tests, ["jq"])("a fault at the start is JSON too, where that is asked for", async ({ sandbox }) => {
  const args = ["--config", sandbox.path("none.json"), "--log-format", "json"];
  const running = sandbox.start(program("nbd-gateway"), args);
  assert.is(await running.exit, 1);
  const { level, message } = JSON.parse(running.stderr);
  assert.is(level, "error");
  assert.match(message, /^reading the configuration file \S+none\.json: /);
});

/** Runs a gateway that cannot start, whose standard error the journal reads. */
async function toJournal(sandbox: Sandbox, ...options: string[]): Promise<string> {
  const command = [program("nbd-gateway"), "--config", sandbox.path("none.json"), ...options].join(" ");
  // Standard error is a file here: any will do whose device and inode are named.
  const name = sandbox.path("journal");
  await sandbox.run("sh", [
    "-c",
    `: > ${name}; export JOURNAL_STREAM=$(stat -c %d:%i ${name}); ${process.execPath} ${command} 2>> ${name} || cat ${name}`,
  ]);
  return sandbox.run("cat", [name]);
}

tests("for the journal of systemd it is JSON with priorities, or text with them", async ({ sandbox }) => {
  const json = await toJournal(sandbox);
  assert.match(json, /^<3>\{"level":"error",[^\n]*\}\n$/);
  assert.match(await toJournal(sandbox, "--log-format", "text"), /^<3>nbd-gateway: reading the [^\n]*\n$/);
});

tests("a variable that another program was given for its journal changes nothing", async ({ sandbox }) => {
  const running = sandbox.start(program("nbd-gateway"), ["--config", sandbox.path("none.json")], {
    env: { JOURNAL_STREAM: "1:2" },
  });
  assert.is(await running.exit, 1);
  assert.match(running.stderr, /^nbd-gateway: reading /);
});

tests("who asks a gateway that is not there makes no certificate for it", async ({ sandbox }) => {
  const config = sandbox.path("config.json");
  writeFileSync(
    config,
    '{ "tls-self-signed": true, "configurations": { "a": { "listen": "unix:a.sock" } } }',
  );
  const args = ["--status", "--config", config, "--token-file", sandbox.path("state/token")];
  const running = sandbox.start(program("nbd-gateway"), args);
  assert.is(await within(30_000, "the status", running.exit), 2);
  assert.match(
    running.stderr,
    /: reading the certificate \S+state\/self-signed\.pem: there is no such file\n$/,
  );
  assert.not.ok(existsSync(sandbox.path("state")));
});

if (process.geteuid?.() === 0) {
  tests("root asks a service that has a user of its own, and makes it a new token", async (context) => {
    const { sandbox } = context;
    await start(context, "--tls-self-signed");
    // As the service has them, whose user is there only while it runs.
    const folder = sandbox.path("state/private");
    const tokenFile = `${folder}/token`;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of ["token", "self-signed.pem"]) {
      copyFileSync(sandbox.path(name), `${folder}/${name}`);
      chownSync(`${folder}/${name}`, 64000, 64000);
    }
    chownSync(folder, 64000, 64000);
    const run = async (...args: string[]) => {
      const words = ["--config", sandbox.path("config.json"), "--token-file", tokenFile, ...args];
      const running = sandbox.start(program("nbd-gateway"), words);
      const exit = await within(30_000, args[0]!, running.exit);
      return { exit, said: running.stdout + running.stderr };
    };
    const here = ["--tls-self-signed", "--port", new URL(context.url).port];
    const { exit, said } = await run("--status", ...here);
    assert.is(exit, 0, said);
    assert.match(said, /local: free/);
    assert.match(
      (await run("--eject", "local", ...here)).said,
      /ejecting "local" at \S+: the server answered 404/,
    );
    assert.equal(await run("--new-token"), { exit: 0, said: `${tokenFile}\n` });
    const { uid, gid, mode } = statSync(tokenFile);
    assert.equal([uid, gid, mode & 0o7777], [64000, 64000, 0o600]);
    // The gateway itself, and nbd-serve, have a token of their own user.
    for (const [name, words] of [
      ["nbd-gateway", ["--config", sandbox.path("config.json"), "--port", "0"]],
      ["nbd-serve", [sandbox.path("disk.img"), context.url]],
    ] as const) {
      const running = sandbox.start(program(name), ["--token-file", tokenFile, ...words]);
      assert.is(await within(30_000, name, running.exit), 1);
      assert.match(running.stderr, /the token file \S+ not safe, as \S+ belongs to user 64000/);
    }
  });
}

tests.run();

/** The gateway's token as its program makes, prints and replaces it. */
import { readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { writeConfig } from "./link.ts";

const tests = suite<{ sandbox: Sandbox; config: string; tokenFile: string }>("the token of nbd-gateway");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.config = writeConfig(context.sandbox);
  context.tokenFile = context.sandbox.path("state/token");
});
tests.after.each(({ sandbox }) => sandbox.end());

async function start(sandbox: Sandbox, args: readonly string[]): Promise<Running & { url: string }> {
  const gateway = sandbox.start(program("nbd-gateway"), ["--port", "0", ...args]);
  await until("the URL", () => {
    if (gateway.process.exitCode !== null) throw new Error(gateway.stderr);
    return gateway.stdout.endsWith("\n");
  });
  return Object.assign(gateway, { url: gateway.stdout.trim() });
}

/** What a gateway says at its start, but for where the disk will be. */
const saidOf = ({ stderr }: { stderr: string }) =>
  stderr.replace(/^nbd-gateway: local: its disk will be at .*\n/gm, "");

async function statusOf(url: string, secret?: string): Promise<number> {
  const headers: Record<string, string> = secret === undefined ? {} : { Authorization: `Bearer ${secret}` };
  return (await fetch(new URL("metadata", url), { headers })).status;
}

tests("where standard output is kept, it has the URL alone", async ({ sandbox, config, tokenFile }) => {
  const gateway = await start(sandbox, ["--config", config, "--token-file", tokenFile]);
  const token = readFileSync(tokenFile, "utf8").trim();
  assert.match(gateway.stdout, /^http:\/\/127\.0\.0\.1:\d+\/\n$/);
  assert.is(saidOf(gateway), `nbd-gateway: the token is in ${tokenFile}\n`);
  assert.is(await statusOf(gateway.url), 401);
  assert.is(await statusOf(gateway.url, token), 200);
  assert.is((await fetch(gateway.url)).status, 200);
  await statusOf(`${gateway.url}?token=${token}`, token);
  await fetch(new URL(`?token=${token}`, gateway.url));
  await fetch(new URL(token, gateway.url));
  assert.not.ok(gateway.stderr.includes(token.slice(0, 10)));
});

needing(tests, ["script"])("on a terminal the URL has the token behind #", async (context) => {
  const { sandbox, config, tokenFile } = context;
  const line = [
    process.execPath,
    program("nbd-gateway"),
    "--port",
    "0",
    "--config",
    config,
    "--token-file",
    tokenFile,
  ];
  const gateway = sandbox.start("script", ["-qefc", line.join(" "), "/dev/null"], { env: { TERM: "dumb" } });
  await until("the URL", () => /http:\S+\r?\n/.test(gateway.stdout));
  const [url] = /http:\S+/.exec(gateway.stdout)!;
  assert.is(url.split("#")[1], readFileSync(tokenFile, "utf8").trim());
  // script has no other output than its own pseudo-terminal: both streams of the program are in it.
  assert.equal(
    gateway.stdout
      .split(/\r?\n/)
      .filter((one) => !/^nbd-gateway: (?:the token is in |local: its disk )/.test(one)),
    [url, ""],
  );
});

tests("a login outlives a restart; --new-token ends it, at once and for good", async (context) => {
  const { sandbox, config, tokenFile } = context;
  const args = ["--config", config, "--token-file", tokenFile];
  const first = await start(sandbox, args);
  const token = readFileSync(tokenFile, "utf8").trim();
  const answer = await fetch(new URL("login", first.url), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  const { session } = (await answer.json()) as { session: string };
  assert.is(await statusOf(first.url, session), 200);
  first.kill();
  assert.is(await within(5000, "the end", first.exit), 0);
  const second = await start(sandbox, args);
  assert.is(await statusOf(second.url, session), 200);
  const client = new WebSocket(second.url.replace("http", "ws"), ["nbd", `token.${session}`]);
  await within(5000, "the WebSocket", new Promise((resolve) => client.once("open", resolve)));

  const out = await sandbox.run(program("nbd-gateway"), ["--new-token", "--token-file", tokenFile]);
  assert.is(out, `${tokenFile}\n`);
  assert.is(await statusOf(second.url, session), 401);
  assert.is(await statusOf(second.url, token), 401);
  assert.is(await statusOf(second.url, readFileSync(tokenFile, "utf8").trim()), 200);
  client.terminate();
  second.kill();
  await second.exit;
  const third = await start(sandbox, args);
  assert.is(await statusOf(third.url, session), 401);
});

tests("the key token-file names the file, and the flag wins", async ({ sandbox, tokenFile }) => {
  const config = sandbox.path("config.json");
  const key = sandbox.path("of-key");
  const configurations = { local: { listen: `unix:${sandbox.path("nbd.sock")}` } };
  writeFileSync(config, JSON.stringify({ "token-file": key, configurations }));
  for (const [args, file] of [
    [[], key],
    [["--token-file", tokenFile], tokenFile],
  ] as const) {
    const gateway = await start(sandbox, ["--config", config, ...args]);
    assert.is(saidOf(gateway), `nbd-gateway: the token is in ${file}\n`);
    gateway.kill();
    await gateway.exit;
  }
});

tests("--no-auth says what it means", async ({ sandbox, config }) => {
  const gateway = await start(sandbox, ["--config", config, "--no-auth"]);
  assert.is(
    saidOf(gateway),
    "nbd-gateway: --no-auth: every user and every program of this machine gets in\n",
  );
  assert.is(await statusOf(gateway.url), 200);
});

for (const [args, words] of [
  [["--no-auth", "--host", "0.0.0.0"], /^--no-auth is for loopback only: everybody who reaches 0\.0\.0\.0 /],
  [["--no-auth", "--token-file", "x"], /^--no-auth and --token-file exclude each other$/],
  [["--no-auth", "--new-token"], /^--no-auth and --new-token exclude each other$/],
  [
    ["--token-file", "/proc/self/token"],
    /^reading the token file \/proc\/self\/token: its folder \/proc\/\d+ is open to others; /,
  ],
  [
    ["--token-file", "/etc/passwd"],
    /^reading the token file \/etc\/passwd: its folder \/etc is open to others; name a file in a folder of its own, of mode 0700$/,
  ],
] as const) {
  tests(`refused in one line: ${args.join(" ")}`, async ({ sandbox, config }) => {
    const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, ...args]);
    assert.is(await within(10_000, "the end", gateway.exit), 1);
    assert.match(gateway.stderr.replace(/^nbd-gateway: (.*)\n$/, "$1"), words);
  });
}

for (const [status, args] of [
  [2, ["--init", "--status"]],
  [2, ["--eject", "local", "--status"]],
  [2, ["--status", "--new-token"]],
  [1, ["--eject", "local", "--init"]],
  [1, ["--new-token", "--init"]],
  [1, ["--eject", "local", "--new-token"]],
] as const) {
  tests(`one thing at a time: ${args.join(" ")}`, async ({ sandbox, config, tokenFile }) => {
    const words = [...args, "--config", config, "--token-file", tokenFile];
    const running = sandbox.start(program("nbd-gateway"), words, { cwd: sandbox.folder });
    assert.is(await within(10_000, "the end", running.exit), status);
    const line = "nbd-gateway: --init, --eject, --status and --new-token exclude each other\n";
    assert.equal([running.stdout, running.stderr], ["", line]);
  });
}

tests.run();

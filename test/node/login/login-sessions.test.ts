/** Logins: how long they last, where they are kept, and what is not kept. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { tokenAccess } from "../../../src/node/login/access.ts";
import { LoginSessions } from "../../../src/node/login/login-sessions.ts";
import { clientProof, newNonce } from "../../../src/node/login/proof.ts";
import { readToken, renewToken } from "../../../src/node/login/token-file.ts";
import { Sandbox, suite, until } from "../../harness.ts";

const HOUR = 3600_000;

interface Context {
  folder: string;
  file: string;
  clock: { now: number };
  log: string[];
  open(token?: string): LoginSessions;
}

const tests = suite<Context>("logins");
tests.before.each((context) => {
  const folder = mkdtempSync(join(tmpdir(), "nbd-proxy-logins-"));
  const file = join(folder, "token.logins");
  const clock = { now: 1_700_000_000_000 };
  const log: string[] = [];
  const open = (token = "a") =>
    new LoginSessions({ file, token, log: (line) => log.push(line), now: () => clock.now });
  Object.assign(context, { folder, file, clock, log, open });
});
tests.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

tests("they end 12 h after their last use", ({ clock, open }) => {
  const logins = open();
  const id = logins.create();
  for (let i = 0; i < 3; i++) {
    clock.now += 12 * HOUR - 1;
    assert.ok(logins.use(id));
  }
  clock.now += 12 * HOUR;
  assert.not.ok(logins.use(id));
  assert.not.ok(logins.use(id));
  logins.close();
});

tests("they do not end while they serve, but 12 h after that", ({ clock, open }) => {
  const logins = open();
  const id = logins.create();
  const release = [logins.hold(id), logins.hold(id)];
  clock.now += 100 * HOUR;
  release[0]!();
  release[0]!();
  clock.now += 100 * HOUR;
  assert.ok(logins.use(id));
  release[1]!();
  clock.now += 12 * HOUR;
  assert.not.ok(logins.use(id));
  logins.close();
});

tests("they outlive a restart, as hashes in a private file", ({ file, clock, open }) => {
  const logins = open();
  const [one, other, ended] = [logins.create(), logins.create(), logins.create()];
  logins.end(ended!);
  clock.now += 11 * HOUR;
  logins.use(other!);
  logins.close();
  assert.is(statSync(file).mode & 0o7777, 0o600);
  const text = readFileSync(file, "utf8");
  for (const id of [one, other, ended]) assert.not.ok(text.includes(id!.slice(2)));
  clock.now += HOUR;
  const again = open();
  assert.not.ok(again.use(one!), "12 h are over");
  assert.ok(again.use(other!));
  assert.not.ok(again.use(ended!));
  again.close();
});

tests("a new login is written soon, also if the process is killed then", async ({ file, open }) => {
  const logins = open();
  const id = logins.create();
  await until("it is written", () => {
    try {
      return readFileSync(file, "utf8").includes('"logins":[["');
    } catch {
      return false;
    }
  });
  const again = open();
  assert.ok(again.use(id));
  for (const one of [logins, again]) one.close();
});

tests(
  "a thousand are kept; the one goes that was used least recently, and serves nothing",
  ({ clock, open }) => {
    const logins = open();
    const [first, second, third] = [logins.create(), logins.create(), logins.create()];
    logins.hold(first!);
    const rest = Array.from({ length: 997 }, () => {
      clock.now++;
      return logins.create();
    });
    logins.use(second!);
    const last = logins.create();
    assert.not.ok(logins.use(third!));
    for (const id of [first!, second!, last, ...rest]) assert.ok(logins.use(id));
    logins.close();
    assert.ok(open().use(rest[0]!), "so many fit into the file");
  },
);

for (const [what, text] of [
  ["no JSON", "{"],
  ["another form", '{"token":"x","logins":[["a",1]]}'],
  ["very much", " ".repeat(1 << 19)],
] as const) {
  tests(`a file with ${what} costs the logins, a line, and nothing else`, ({ file, log, open }) => {
    writeFileSync(file, text, { mode: 0o600 });
    const logins = open();
    assert.is(log.length, 1);
    assert.match(log[0]!, /^logins before this start have ended, as \S+ cannot be read: [^\n]+$/);
    assert.ok(logins.use(logins.create()));
    logins.close();
  });
}

tests("a file that others can read is not believed", ({ file, log, open }) => {
  const logins = open();
  const id = logins.create();
  logins.close();
  chmodSync(file, 0o644);
  assert.not.ok(open().use(id));
  assert.match(log[0]!, /"chmod 600 /);
});

tests("where nothing can be written logins work, and one line says so", ({ folder, log, open }) => {
  const logins = open();
  rmSync(folder, { recursive: true });
  const id = logins.create();
  logins.close();
  assert.ok(logins.use(id));
  assert.is(log.length, 1);
  assert.match(log[0]!, /^writing \S+ failed, so logins will end with this process: /);
});

tests("another token ends them", ({ open }) => {
  const logins = open("a");
  const id = logins.create();
  logins.close();
  assert.not.ok(open("b").use(id));
  assert.ok(open("a").use(id));
});

tests(
  "a new token counts at once in a gateway that runs, and ends its logins for good",
  ({ folder, log }) => {
    const tokenFile = join(folder, "token");
    const options = { tokenFile, log: (line: string) => log.push(line) };
    const access = tokenAccess(options);
    const before = readToken(tokenFile);
    const name = access.cookieName;
    const peer = { address: "::1", authority: "x" };
    const { session } = access.logIn({ token: before }, peer) as { session: string };
    assert.is(access.judge(session, "::1"), "right");
    renewToken(tokenFile);
    assert.is(access.judge(session, "::1"), "wrong");
    assert.is(access.judge(before, "::1"), "wrong");
    assert.is(access.judge(readToken(tokenFile), "::1"), "right");
    assert.is.not(access.cookieName, name);
    access.close();
    const again = tokenAccess(options);
    assert.is(again.judge(session, "::1"), "wrong");
    chmodSync(tokenFile, 0o644);
    assert.is(again.judge(readFileSync(tokenFile, "utf8").trim(), "::1"), "wrong", "it is not private");
    rmSync(tokenFile);
    assert.is(again.judge(newNonce(), "::1"), "wrong");
    again.close();
    assert.equal(
      log.map((line) => line.replace(folder, "")),
      [
        "the token in /token counts from now on",
        log[1]!.replace(folder, ""),
        "nobody is let in any more: reading the token file /token: there is no such file",
      ],
    );
    assert.match(log[1]!, /^nobody is let in any more: .*"chmod 600 /);
  },
);

tests("a token that was away for a moment finds its logins, and what they serve", ({ folder, clock }) => {
  const tokenFile = join(folder, "token");
  const access = tokenAccess({ tokenFile, log: () => {}, wallClock: () => clock.now });
  const text = readFileSync(tokenFile, "utf8");
  const token = text.trim();
  const peer = { address: "::1", authority: "x" };
  const { session } = access.logIn({ token }, peer) as { session: string };
  const role = "nbd-serve";
  const nonce = newNonce();
  const { nonce: gatewayNonce } = access.logIn({ role, nonce }, peer) as { nonce: string };
  const proof = clientProof(token, { authority: "x", nonce, gatewayNonce });
  const brief = access.logIn({ role, nonce, gatewayNonce, proof }, peer) as { session: string };
  access.hold(session);
  access.hold(brief.session);
  for (const spoil of [
    () => rmSync(tokenFile),
    () => chmodSync(tokenFile, 0o644),
    () => writeFileSync(tokenFile, "x"),
  ]) {
    spoil();
    assert.is(access.judge(session, "::1"), "wrong", "there is no token");
    rmSync(tokenFile, { force: true });
    writeFileSync(tokenFile, text, { mode: 0o600 });
    clock.now += 20 * HOUR;
    assert.is(access.judge(session, "::1"), "right");
    assert.is(access.judge(brief.session, "::1"), "right");
  }
  writeFileSync(`${tokenFile}2`, text, { mode: 0o600 });
  renameSync(`${tokenFile}2`, tokenFile);
  clock.now += 20 * HOUR;
  assert.is(access.judge(session, "::1"), "right", "the same token, in another file");
  access.close();
});

tests("gateways that share a file share the logins, at once and after a restart", ({ clock, open }) => {
  const [one, other] = [open(), open()];
  const first = one.create();
  const ended = one.create();
  one.close();
  assert.ok(other.use(first), "it was made elsewhere");
  const second = other.create();
  other.end(ended);
  other.close();
  const [third, fourth] = [open(), open()];
  for (const logins of [third, fourth]) {
    for (const id of [first, second]) assert.ok(logins.use(id));
    assert.not.ok(logins.use(ended));
  }
  third.hold(second);
  third.end(first);
  third.close();
  assert.not.ok(fourth.use(first), "it was ended elsewhere");
  clock.now += 11 * HOUR;
  fourth.use(second);
  fourth.close();
  clock.now += HOUR;
  assert.ok(open().use(second));
  assert.not.ok(open().use(first), "nobody has written it again");
});

tests("what another gateway serves does not end here", ({ clock, open, file }) => {
  const [one, other] = [open(), open()];
  const id = one.create();
  one.hold(id);
  one.close();
  other.use(id);
  const third = open();
  third.hold(id);
  third.use(id);
  clock.now += 20 * HOUR;
  third.use(third.create());
  third.close();
  assert.ok(other.use(id), readFileSync(file, "utf8"));
  other.close();
});

tests("processes that write at the same time lose nothing of each other", async ({ file, open }) => {
  const sandbox = new Sandbox();
  try {
    const module = new URL("../../../src/node/login/login-sessions.ts", import.meta.url).href;
    const script = `import(${JSON.stringify(module)}).then(async ({ LoginSessions }) => {
      const logins = new LoginSessions({ file: ${JSON.stringify(file)}, token: "a", log: console.error });
      const ids = [];
      for (let i = 0; i < 20; i++) {
        ids.push(logins.create());
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      logins.close();
      console.log(ids.join());
    })`;
    const args = ["--import", import.meta.resolve("tsx"), "-e", script];
    const made = await Promise.all(Array.from({ length: 4 }, () => sandbox.run(process.execPath, args)));
    const ids = made.flatMap((line) => line.trim().split(","));
    assert.is(ids.length, 80);
    const logins = open();
    assert.equal(
      ids.filter((id) => !logins.use(id)),
      [],
    );
    logins.close();
    assert.not.ok(existsSync(`${file}.lock`));
  } finally {
    await sandbox.end();
  }
});

tests("a lock that was left behind, or is held, keeps nothing from being written", async ({ file, open }) => {
  const logins = open();
  writeFileSync(`${file}.lock`, "");
  const id = logins.create();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.not.ok(existsSync(file), "another process writes");
  utimesSync(`${file}.lock`, 1, 1);
  await until("it is written", () => existsSync(file));
  assert.not.ok(existsSync(`${file}.lock`));
  writeFileSync(`${file}.lock`, "");
  const last = logins.create();
  logins.close();
  const again = open();
  for (const one of [id, last]) assert.ok(again.use(one));
});

tests("a token that was replaced writes nothing over the logins of the new one", ({ folder }) => {
  const tokenFile = join(folder, "token");
  const options = { tokenFile, log: () => {} };
  const [old, other] = [tokenAccess(options), tokenAccess(options)];
  const peer = { address: "::1", authority: "x" };
  old.logIn({ token: readToken(tokenFile) }, peer);
  renewToken(tokenFile);
  const { session } = other.logIn({ token: readToken(tokenFile) }, peer) as { session: string };
  other.close();
  old.close();
  const again = tokenAccess(options);
  assert.is(again.judge(session, "::1"), "right");
  again.close();
});

tests(
  "a brief one ends with its WebSocket, or after 30 s without, and is never written down",
  ({ clock, file, open }) => {
    const logins = open();
    const [used, unused, kept] = [logins.create(true), logins.create(true), logins.create()];
    const release = logins.hold(used);
    clock.now += HOUR;
    assert.ok(logins.use(used), "it serves");
    release();
    assert.not.ok(logins.use(used));
    assert.not.ok(logins.use(unused));
    logins.close();
    assert.is(JSON.parse(readFileSync(file, "utf8")).logins.length, 1);
    assert.ok(open().use(kept));
  },
);

tests("what is closed writes nothing any more", async ({ file, open }) => {
  const logins = open();
  logins.hold(logins.create());
  logins.close();
  const written = readFileSync(file, "utf8");
  logins.create();
  logins.close();
  assert.is(readFileSync(file, "utf8"), written);
});

tests.run();

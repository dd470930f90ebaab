/** The programs on two machines: a certificate of the gateway's own, certbot's, and nginx and Caddy with TLS in front. */
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { startCaddy } from "../caddy.ts";
import { type Pair, writePair } from "../certificates.ts";
import { needing, program, type Running, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { startNginxExample } from "../nginx.ts";
import { openPage } from "../page/open.ts";
import { proxyExample } from "../proxy-examples.ts";
import { asRoot } from "../security/others.ts";

const tests = suite("beyond loopback");

let sandbox: Sandbox;
let image: string;
let digest: string;

tests.before.each(async () => {
  sandbox = new Sandbox();
  image = sandbox.path("image.iso");
  digest = await randomImage(image, 5_000_003);
  const configurations = { local: { listen: `unix:${sandbox.path("nbd.sock")}` } };
  const config = { "state-hook": "/nowhere", "allowed-hosts": ["localhost"], configurations };
  await writeFile(sandbox.path("config.json"), JSON.stringify(config));
});

tests.after.each(() => sandbox.end());

const SOCKET = "nbd.sock";
/** Where the gateway keeps its token, and its certificate. */
const state = (name: string) => sandbox.path(`state/${name}`);

const words = (...options: string[]) => ["--config", sandbox.path("config.json"), "--port", "0", ...options];
const environment = () => ({ env: { STATE_DIRECTORY: sandbox.path("state") } });

/** Waits until the gateway listens, and returns its URL, without a token. */
async function urlOf(running: Running): Promise<string> {
  await until("the gateway's URL", () => running.stdout.endsWith("\n"));
  return running.stdout.trim().replace(/#.*/, "");
}

async function startGateway(...options: string[]): Promise<{ running: Running; url: string }> {
  const running = sandbox.start(program("nbd-gateway"), words(...options), environment());
  return { running, url: await urlOf(running) };
}

const token = () => readFileSync(state("token"), "utf8").trim();

async function copied(): Promise<string> {
  await until("the disk", () => existsSync(sandbox.path(SOCKET)));
  const copy = sandbox.path("copy");
  await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${sandbox.path(SOCKET)}`, copy]);
  return sha256(copy);
}

/** The arguments with which nbd-serve logs in. */
const credentials = () => ["--token-file", state("token")];

async function fingerprintAt(url: string): Promise<string> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

tests(
  "the fingerprint that is printed is that of the certificate that is served, also after a restart",
  async () => {
    const seen: string[] = [];
    for (const _ of [1, 2]) {
      const { running, url } = await startGateway("--tls-self-signed");
      assert.match(url, /^https:\/\/127\.0\.0\.1:\d+\/$/);
      await until("the fingerprint", () => /SHA-256/.test(running.stderr));
      const [, printed] = /SHA-256 of its certificate: (\S+)\n/.exec(running.stderr) ?? [];
      assert.is(printed, await fingerprintAt(url));
      seen.push(printed!);
      running.kill();
      assert.is(await running.exit, 0);
      assert.not.match(running.stderr, /PRIVATE/);
      assert.not.ok((running.stderr + running.stdout).includes(token()));
    }
    assert.is(seen[0], seen[1]);
    assert.ok(existsSync(state("self-signed.pem")));
  },
);

const overTls = needing(tests, ["nbdcopy"]);

overTls(
  "SIGHUP reads the certificate again: a session goes on, and the next one sees the new one",
  async () => {
    const pair = writePair(sandbox, "a", ["localhost", "127.0.0.1"]);
    const { running, url } = await startGateway("--tls-cert", pair.certFile, "--tls-key", pair.keyFile);
    const before = await fingerprintAt(url);
    const serving = sandbox.start(program("nbd-serve"), [
      image,
      url,
      "--ca",
      exported(pair),
      ...credentials(),
    ]);
    assert.is(await copied(), digest);
    const next = writePair(sandbox, "b", ["localhost", "127.0.0.1"]);
    renameSync(next.keyFile, pair.keyFile);
    renameSync(next.certFile, pair.certFile);
    running.kill("SIGHUP");
    await until("the new certificate", async () => (await fingerprintAt(url)) !== before, 4000);
    assert.is(await copied(), digest);
    assert.match(running.stderr, /took the new certificate in /);
    serving.kill();
    assert.is(await serving.exit, 0);
    await until("the end of the session", () => !existsSync(sandbox.path(SOCKET)));
    const late = sandbox.start(program("nbd-serve"), [image, url, "--ca", exported(pair), ...credentials()]);
    assert.is(await late.exit, 1, "who trusts the old one only");
    const known = ["--fingerprint", await fingerprintAt(url), ...credentials()];
    const another = sandbox.start(program("nbd-serve"), [image, url, ...known]);
    assert.is(await copied(), digest);
    another.kill();
    assert.is(await another.exit, 0);
    running.kill();
    assert.is(await running.exit, 0);
  },
);

/** A copy of a certificate that stays when its file is exchanged. */
function exported({ cert }: Pair): string {
  const file = sandbox.path("ca.pem");
  writeFileSync(file, cert);
  return file;
}

for (const [name, start] of [
  [
    "nginx",
    async (path: string, pair: Pair) =>
      (await startNginxExample(sandbox, proxyExample("nginx.conf", path), pair)).url,
  ],
  ["caddy", (path: string, pair: Pair) => startCaddy(sandbox, proxyExample("Caddyfile", path), pair)],
] as const) {
  const front = needing(tests, ["chromium", "nbdcopy", name]);

  front(
    `behind ${name} with TLS, under a path, as the example has it: login and page, byte for byte`,
    async () => {
      mkdirSync(sandbox.path("run"), { mode: 0o755 });
      const path = sandbox.path("run/gateway.sock");
      const { running, url } = await startGateway("--behind-proxy", `unix:${path}`, "--socket-mode", "0660");
      assert.is(url, `unix:${path}`);
      const where = await start(path, writePair(sandbox, name, ["localhost"]));
      const browser = await openChromium();
      try {
        const context = await browser.newContext({ ignoreHTTPSErrors: true });
        // Without the slash at the end, too.
        const stranger = await openPage(context, where.replace(/\/$/, ""), image);
        await stranger.isAsked("");
        await stranger.close();

        const page = await openPage(context, `${where}#${token()}`, image);
        await page.card().serve();
        assert.is(await copied(), digest);
        // All is encrypted outside, so the login is a cookie.
        const [cookie] = await context.cookies();
        assert.match(cookie!.name, /^__Host-nbd-proxy-/);
        assert.ok(cookie!.secure && cookie!.httpOnly);
        await page.card().stop();
        await page.logOut();
        await page.isAsked("");
        assert.equal(await context.cookies(), []);
        for (const secret of [token(), cookie!.value]) {
          assert.not.ok((running.stdout + running.stderr).includes(secret), "it is in no log");
        }
      } finally {
        await browser.close();
      }
      running.kill();
      assert.is(await running.exit, 0);
      assert.not.ok(existsSync(path));
    },
  );
}

const machines = needing(asRoot(tests), ["chromium", "ip", "nbdcopy"]);

machines("two machines, and a certificate of the gateway's own: byte for byte", async () => {
  const [here, there] = [`nbd-here-${process.pid}`, `nbd-there-${process.pid}`];
  const ip = (...args: string[]) => sandbox.run("ip", args);
  /** A program in a machine of its own. */
  const inside = (machine: string, script: string, args: string[], env: Record<string, string>) =>
    sandbox.start("ip", ["netns", "exec", machine, process.execPath, script, ...args], { env });
  await ip("netns", "add", here);
  try {
    await ip("netns", "add", there);
    await ip("link", "add", "link0", "netns", here, "type", "veth", "peer", "name", "link0", "netns", there);
    for (const [machine, address] of [
      [here, "10.9.0.1"],
      [there, "10.9.0.2"],
    ] as const) {
      await ip("-n", machine, "address", "add", `${address}/24`, "dev", "link0");
      for (const device of ["lo", "link0"]) await ip("-n", machine, "link", "set", device, "up");
    }
    const options = words("--host", "10.9.0.1", "--tls-self-signed");
    const gateway = inside(here, program("nbd-gateway"), options, environment().env);
    const url = await urlOf(gateway);
    assert.match(url, /^https:\/\/10\.9\.0\.1:\d+\/$/);
    const args = [image, url, ...credentials()];
    const stranger = inside(there, program("nbd-serve"), args, {});
    assert.is(await stranger.exit, 1);
    assert.match(stranger.stderr, /certificate is signed by itself/);
    const [, fingerprint] = /SHA-256 of its certificate: (\S+)\n/.exec(gateway.stderr)!;
    const serving = inside(there, program("nbd-serve"), ["--fingerprint", fingerprint!, ...args], {});
    assert.is(await copied(), digest);
    serving.kill();
    assert.is(await serving.exit, 0);

    const browser = sandbox.path("chromium");
    writeFileSync(browser, `#!/bin/sh\nexec ip netns exec ${there} /usr/bin/chromium "$@"\n`, {
      mode: 0o755,
    });
    const chromium = await openChromium(browser);
    try {
      const context = await chromium.newContext({ ignoreHTTPSErrors: true });
      const page = await openPage(context, `${url}#${token()}`, image);
      await until("the login", () => page.card().isEnabled("serve"));
      await page.card().serve();
      assert.is(await copied(), digest);
      await page.card().stop();
    } finally {
      await chromium.close();
    }
    gateway.kill();
    assert.is(await gateway.exit, 0);
  } finally {
    for (const machine of [here, there]) await ip("netns", "del", machine).catch(() => {});
  }
});

tests.run();

/** nbd-serve logs in at a gateway, with the token from the URL, a file or standard input. */
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import * as assert from "uvu/assert";
import { connectExport } from "../../src/node/connect-export.ts";
import { program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { newToken, StandInGateway, type StandInOptions } from "../stand-in-gateway.ts";
import { startGateway, writeConfig } from "./link.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("nbd-serve logs in");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, Buffer.alloc(4096, "image"));
});
tests.after.each(({ sandbox }) => sandbox.end());

async function withGateway(options: StandInOptions, run: (gateway: StandInGateway) => Promise<void>) {
  const gateway = await new StandInGateway(options).listen();
  try {
    await run(gateway);
  } finally {
    gateway.close();
  }
}

/** The end of nbd-serve; nothing secret may be in what it wrote. */
async function endOf(server: Running, status: number, { token, session }: StandInGateway): Promise<string> {
  const exit = await within(20_000, "nbd-serve", server.exit);
  assert.is(exit, status, server.stderr);
  for (const secret of [token, session]) assert.not.ok((server.stderr + server.stdout).includes(secret));
  return server.stderr;
}

/** The doors that were asked for. */
const doors = ({ came }: StandInGateway) => came.map(({ method, url }) => `${method} ${url}`);
const ALL = ["POST /login", "POST /login", "GET /"];

/** Writes a token as a gateway keeps it. */
function keep(sandbox: Sandbox, token: string): string {
  mkdirSync(sandbox.path("state"), { mode: 0o700 });
  const file = sandbox.path("state/token");
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return file;
}

tests("with the URL that the gateway prints; the token is not among the processes' arguments", (context) => {
  const { sandbox, image } = context;
  let arguments_ = "";
  let server: Running;
  const use: StandInOptions["use"] = (socket) => {
    arguments_ = readFileSync(`/proc/${server.pid}/cmdline`, "utf8");
    socket.close(4001, "taken over by 10.9.0.2");
  };
  return withGateway({ use }, async (gateway) => {
    server = sandbox.start(program("nbd-serve"), ["--take-over", image, `${gateway.url}#${gateway.token}`]);
    const said = await endOf(server, 1, gateway);
    assert.is(said, `nbd-serve: ${gateway.url}: taken over by 10.9.0.2\n`);
    assert.equal(doors(gateway), ALL);
    assert.is(gateway.came[2]!.headers["nbd-take-over"], "1");
    assert.ok(arguments_.includes(gateway.url), arguments_);
    assert.not.ok(arguments_.includes(gateway.token), "the token is among the arguments");
  });
});

tests(
  "on the machine of the gateway without any option, by the file that the gateway keeps",
  ({ sandbox, image }) =>
    withGateway({}, async (gateway) => {
      keep(sandbox, gateway.token);
      const env = { STATE_DIRECTORY: sandbox.path("state") };
      const server = sandbox.start(program("nbd-serve"), [image, gateway.url], { env });
      const said = await endOf(server, 0, gateway);
      assert.is(said, `nbd-serve: serving ${image}, 4096 bytes, to ${gateway.url}\n`);
      assert.equal(gateway.read, [readFileSync(image).subarray(0, 512)]);
      assert.equal(doors(gateway), ALL);
      assert.is(gateway.came[2]!.headers["nbd-take-over"], undefined);
    }),
);

tests("with the token on standard input, which may stay open", ({ sandbox, image }) =>
  withGateway({}, async (gateway) => {
    const args = ["--token-file", "-", image, gateway.url];
    const server = sandbox.start(program("nbd-serve"), args, { wire: true });
    server.process.stdin!.write(`${gateway.token}\n`);
    await endOf(server, 0, gateway);
    assert.equal(doors(gateway), ALL);
  }),
);

tests("the gateway has another token: nothing else is sent", ({ sandbox, image }) =>
  withGateway({}, async (gateway) => {
    const file = keep(sandbox, newToken());
    const server = sandbox.start(program("nbd-serve"), ["--token-file", file, image, gateway.url]);
    const words = "does not know the token: another program may hold the port";
    assert.is(await endOf(server, 1, gateway), `nbd-serve: ${gateway.url} ${words}\n`);
    assert.equal(doors(gateway), ["POST /login"]);
  }),
);

tests("a token that others could have, or that is not there, is not used", ({ sandbox, image }) =>
  withGateway({}, async (gateway) => {
    const file = keep(sandbox, gateway.token);
    const link = sandbox.path("state/link");
    symlinkSync(file, link);
    const wordsWith = async (named: string) => {
      const server = sandbox.start(program("nbd-serve"), ["--token-file", named, image, gateway.url]);
      return endOf(server, 1, gateway);
    };
    assert.match(await wordsWith(link), /symbolic link/);
    assert.match(await wordsWith(sandbox.path("nothing")), /there is no such file/);
    chmodSync(file, 0o640);
    assert.match(await wordsWith(file), /chmod 600/);
    chmodSync(file, 0o600);
    chmodSync(sandbox.path("state"), 0o777);
    assert.match(await wordsWith(file), /chmod go-w/);
    assert.equal(gateway.came, []);
  }),
);

for (const [what, args, words] of [
  ["two tokens", ["--token-file", "-"], "URL: the URL has a token already; leave --token-file out"],
  [
    "--insecure",
    ["--insecure"],
    "URL: --insecure does not go together with a token; use --fingerprint, which nbd-gateway prints",
  ],
  [
    "a fingerprint without TLS",
    ["--fingerprint", "00".repeat(32)],
    "fingerprint, ca and insecure are for https:// and wss:// URLs",
  ],
] as const) {
  tests(`${what}: refused before anything is sent`, ({ sandbox, image }) =>
    withGateway({}, async (gateway) => {
      const server = sandbox.start(program("nbd-serve"), [...args, image, `${gateway.url}#${gateway.token}`]);
      assert.is(await endOf(server, 1, gateway), `nbd-serve: ${words.replace(/^URL/, gateway.url)}\n`);
      assert.equal(gateway.came, []);
    }),
  );
}

tests("beyond this machine a token has to be named", async ({ sandbox, image }) => {
  keep(sandbox, newToken());
  const env = { STATE_DIRECTORY: sandbox.path("state") };
  const server = sandbox.start(program("nbd-serve"), [image, "https://192.0.2.1/"], { env });
  assert.is(await within(20_000, "nbd-serve", server.exit), 1);
  const words = "a token is needed: use the URL that nbd-gateway prints, or --token-file FILE";
  assert.is(server.stderr, `nbd-serve: https://192.0.2.1/: ${words}\n`);
});

tests("options for another side are refused where there is none", async ({ sandbox, image }) => {
  const server = sandbox.start(program("nbd-serve"), ["--take-over", image, "-"]);
  assert.is(await within(20_000, "nbd-serve", server.exit), 1);
  assert.is(server.stderr, "nbd-serve: --take-over is for a URL\n");
});

for (const [what, code, more, advice] of [
  ["the error says who has it, and how to end that", 4002, [], "; --take-over ends that session"],
  ["who asked for the takeover is not advised to", 4002, ["--take-over"], ""],
  ["words alone mean nothing", 4000, [], ""],
] as const) {
  tests(`a configuration that is in use: ${what}`, ({ sandbox, image }) => {
    const words = "in use since 18:57 by boot.iso from 10.9.0.2, silent for 12 s";
    return withGateway({ use: (socket) => socket.close(code, words) }, async (gateway) => {
      const url = `${gateway.url}#${gateway.token}`;
      const server = sandbox.start(program("nbd-serve"), [...more, image, url]);
      assert.is(
        await endOf(server, 1, gateway),
        `nbd-serve: ${gateway.url}: the other side closed the WebSocket: "${words}"${advice}\n`,
      );
    });
  });
}

tests(
  "at the URL of a relay the token is sent where it was named, and a refusal says which URL to use",
  ({ sandbox, image }) =>
    withGateway({}, async (gateway) => {
      const url = gateway.url.replace("http", "ws");
      const refused = sandbox.start(program("nbd-serve"), [image, url]);
      assert.is(
        await endOf(refused, 1, gateway),
        `nbd-serve: ${url}: the server answered 401 Unauthorized: "log in at first"; if it is an nbd-gateway, ` +
          `use the URL that it prints, or ${gateway.url}\n`,
      );
      assert.is(gateway.came[0]!.headers.authorization, undefined);
      const file = keep(sandbox, gateway.session);
      const server = sandbox.start(program("nbd-serve"), ["--token-file", file, image, url]);
      await endOf(server, 0, gateway);
      assert.is(gateway.came[1]!.headers.authorization, `Bearer ${gateway.session}`);
      assert.is(gateway.read.length, 1);
    }),
);

tests("a signal ends a login that takes long", async ({ sandbox, image }) => {
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/#${newToken()}`;
  const connected = once(silent, "connection");
  const server = sandbox.start(program("nbd-serve"), [image, url]);
  await within(20_000, "the connection", connected);
  server.kill();
  assert.is(await within(20_000, "nbd-serve", server.exit), 0);
  assert.is(server.stderr, "");
  silent.close();
});

/** Starts nbd-gateway with a login, and a configuration called "local". */
async function startRealGateway(sandbox: Sandbox): Promise<{ gateway: Running; url: string; token: string }> {
  mkdirSync(sandbox.path("state"), { mode: 0o700 });
  const env = { STATE_DIRECTORY: sandbox.path("state") };
  const args = ["--config", writeConfig(sandbox), "--port", "0"];
  const gateway = sandbox.start(program("nbd-gateway"), args, { env });
  await until("nbd-gateway listens", () => gateway.stdout.includes("\n"), 120_000);
  const token = readFileSync(sandbox.path("state/token"), "utf8").trim();
  return { gateway, url: gateway.stdout.trim(), token };
}

tests("at the real gateway: by the token's file, by the URL, and not with another token", async (context) => {
  const { sandbox, image } = context;
  const { gateway, url, token } = await startRealGateway(sandbox);
  const env = { STATE_DIRECTORY: sandbox.path("state") };
  for (const args of [
    [image, url],
    [image, `${url}local#${token}`],
  ]) {
    const server = sandbox.start(program("nbd-serve"), args, { env });
    await until("the session", () => server.stderr.includes("serving"), 60_000);
    await until("the socket", () => existsSync(sandbox.path("nbd.sock")), 60_000);
    const remote = await connectExport(`nbd+unix:///?socket=${sandbox.path("nbd.sock")}`);
    assert.equal(Buffer.from(await remote.read(0, 512)), readFileSync(image).subarray(0, 512));
    await remote.close();
    server.kill();
    assert.is(await within(20_000, "nbd-serve", server.exit), 0, server.stderr);
    await until("the end", () => !existsSync(sandbox.path("nbd.sock")), 60_000);
  }
  const logins = JSON.parse(readFileSync(sandbox.path("state/token.logins"), "utf8"));
  assert.equal(logins.logins, [], "they were logged out");
  const stranger = sandbox.start(program("nbd-serve"), [image, `${url}#${newToken()}`]);
  assert.is(await within(20_000, "nbd-serve", stranger.exit), 1);
  const words = "does not know the token: another program may hold the port";
  assert.is(stranger.stderr, `nbd-serve: ${url} ${words}\n`);
  const old = sandbox.start(program("nbd-serve"), [image, url.replace("http", "ws")]);
  assert.is(await within(20_000, "nbd-serve", old.exit), 1);
  assert.match(old.stderr, /the server answered 401 Unauthorized: .*use the URL that it prints, or http:/);
  assert.not.ok(gateway.stderr.includes(token), "the token is in the log");
});

tests("two at the real gateway: what each is told, and the second takes over", async (context) => {
  const { sandbox, image } = context;
  const { gateway, url } = await startRealGateway(sandbox);
  const env = { STATE_DIRECTORY: sandbox.path("state") };
  const start = (...args: string[]) => sandbox.start(program("nbd-serve"), [...args, url], { env });
  const first = start(image);
  await until("the session", () => existsSync(sandbox.path("nbd.sock")), 60_000);
  const refused = start(image);
  assert.is(await within(60_000, "the one that is refused", refused.exit), 1);
  assert.match(
    refused.stderr,
    /"in use since \d\d:\d\d by disk\.img from 127\.0\.0\.1(, silent for \d+ s)?"; --take-over ends that session\n$/,
  );
  const other = sandbox.path("other.img");
  writeFileSync(other, Buffer.alloc(8192, "other"));
  const second = start("--take-over", other);
  assert.is(await within(60_000, "the end of the first", first.exit), 1);
  assert.ok(first.stderr.endsWith(`nbd-serve: ${url}: taken over by 127.0.0.1\n`), first.stderr);
  await until("the second is served", () => gateway.stderr.includes("local: 8192 bytes, "), 60_000);
  const remote = await connectExport(`nbd+unix:///?socket=${sandbox.path("nbd.sock")}`);
  assert.equal(Buffer.from(await remote.read(0, 8192)), readFileSync(other));
  await remote.close();
  assert.match(gateway.stderr, /^nbd-gateway: local: taken over by 127\.0\.0\.1 after /m);
  second.kill();
  assert.is(await within(20_000, "nbd-serve", second.exit), 0, second.stderr);
});

tests("at a gateway without a login: the error says which URL to use", async ({ sandbox, image }) => {
  const gateway = await startGateway(sandbox);
  const url = gateway.url.replace("ws", "http");
  const server = sandbox.start(program("nbd-serve"), [image, `${url}#${newToken()}`]);
  assert.is(await within(20_000, "nbd-serve", server.exit), 1);
  const said = server.stderr.replace(/ \(40[45]\)/, "");
  const words = "there is no login; if that is meant, as with nbd-gateway --no-auth, use";
  assert.is(said, `nbd-serve: logging in at ${url}: ${words} ${gateway.url}\n`);
});

tests.run();

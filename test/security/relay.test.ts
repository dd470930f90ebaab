/** Rebound names, and pages of others, at nbd-proxy under a relay that does not know the names which it is to have. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { relayFault } from "../../src/node/relay-request.ts";
import { join } from "../../src/streams/join.ts";
import { webSocket } from "../../src/transport/websocket.ts";
import { needing, program, Sandbox, suite, until, within } from "../harness.ts";
import { startWebsocketd, type Websocketd } from "../websocketd.ts";

const tests = suite("under a relay");

let sandbox: Sandbox;
/** As the README has it, and without `--sameorigin`. */
let relay: Websocketd;
let lax: Websocketd;
let socket: string;
let diary: string;

tests.before(() => {
  sandbox = new Sandbox();
  socket = sandbox.path("nbd.sock");
  diary = sandbox.path("diary");
});
tests.after(() => sandbox.end());

const under = needing(tests, ["websocketd"]);

under("websocketd starts", async () => {
  const hook = sandbox.path("state");
  writeFileSync(hook, `#!/bin/sh\necho "$1" >> ${diary}\n`, { mode: 0o755 });
  const config = sandbox.path("config.json");
  const configurations = { local: { listen: `unix:${socket}`, "state-hook": hook } };
  writeFileSync(config, JSON.stringify({ configurations, "allowed-hosts": ["Console.example"] }));
  const command = [process.execPath, program("nbd-proxy"), "--config", config, "local"];
  relay = await startWebsocketd(sandbox, command);
  lax = await startWebsocketd(sandbox, ["--sameorigin=false", ...command]);
});

/** Serves through websocketd what a page of `origin` serves that has reached it by the name `host`. */
function serveBy(port: string, host: string, origin: string | undefined) {
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, {
    headers: { host },
    perMessageDeflate: false,
    ...(origin !== undefined && { origin }),
  });
  const transport = webSocket(client);
  join(transport, nbdServer(memoryExport(new Uint8Array(4096)))).catch(() => {});
  return { client, closed: transport.closed.catch(() => {}) };
}

/** Who asks, as Host and Origin say ("PORT" is websocketd's), and what is said of it; nothing: it is admitted. */
type Request = [what: string, host: string, origin: string | undefined, fault?: RegExp];

const NAME =
  /^nbd-proxy: the relay's request for "[^"]+", with Origin "[^"]+", is refused: the host name "[^"]+" is not allowed; if it is yours, add it to "allowed-hosts"$/m;
const SENSE = /^nbd-proxy: the relay's request for "[^"]*", .+, is refused: malformed Host header$/m;
const PAGE =
  /^nbd-proxy: the relay's request for "[^"]+", with Origin "[^"]+", is refused: the request comes from another web page; behind a reverse proxy, .+$/m;

const sameOrigin: Request[] = [
  ["a rebound name, with the page's own Origin", "evil.example:PORT", "http://evil.example:PORT", NAME],
  ["a rebound name on the default port", "evil.example", "http://evil.example", NAME],
  ["an address in disguise", "0x7f.1:PORT", "http://0x7f.1:PORT", SENSE],
  ["localhost with a dot", "localhost.:PORT", "http://localhost.:PORT", NAME],
  ["its own page, by address", "127.0.0.1:PORT", "http://127.0.0.1:PORT"],
  ["its own page, by IPv6 address", "[::1]:PORT", "http://[::1]:PORT"],
  ["an IPv6 address on the default port", "[::1]", "http://[::1]"],
  ["localhost", "localhost:PORT", "http://localhost:PORT"],
  ["an allowed name", "console.example:PORT", "http://console.example:PORT"],
];
const anyOrigin: Request[] = [
  ["another page", "127.0.0.1:PORT", "http://evil.example", PAGE],
  ["a page on another port", "127.0.0.1:PORT", "http://127.0.0.1:1", PAGE],
  ["a page without an origin", "127.0.0.1:PORT", "null", PAGE],
  ["a Host that is none", "a:b:c", undefined, SENSE],
  ["no Origin, as of nbd-serve", "127.0.0.1:PORT", undefined],
  ["an allowed name in other letters", "CONSOLE.example:PORT", "http://console.example:PORT"],
  ["an allowed name behind a proxy with TLS", "console.example", "https://console.example"],
];

for (const [which, requests] of [
  ["websocketd --sameorigin", sameOrigin],
  ["websocketd", anyOrigin],
] as const) {
  for (const [what, host, origin, fault] of requests) {
    under(`${which} and ${what}: ${fault ? "refused" : "admitted"}`, async () => {
      const running = requests === sameOrigin ? relay : lax;
      const { port } = new URL(running.page);
      // websocketd puts lines of its own around what the program says on standard error.
      const words = () => (running.stdout + running.stderr).replace(/^.*(?=nbd-proxy: )/gm, "");
      const before = words().length;
      rmSync(diary, { force: true });
      const filled = (text: string) => text.replace("PORT", port);
      const { client, closed } = serveBy(port, filled(host), origin && filled(origin));
      if (!fault) {
        await until(`the export is offered`, () => existsSync(socket));
        client.close();
      }
      await within(10_000, "the end", closed);
      await until("the session is over", () => !existsSync(socket));
      if (!fault) return;
      await until("nbd-proxy says why", () => words().includes("is refused", before));
      assert.match(words().slice(before), fault);
      // The `stop` of the session before may come late.
      const calls = existsSync(diary) ? readFileSync(diary, "utf8") : "";
      assert.not.match(calls, /start/, "no hook has run");
    });
  }
}

/** What other relays tell (RFC 3875), and nobody. */
const environments: [NodeJS.ProcessEnv, RegExp | undefined][] = [
  [{}, undefined],
  [{ REMOTE_ADDR: "127.0.0.1", PATH: "/bin" }, undefined],
  [{ HTTP_HOST: "127.0.0.1:8000", SERVER_NAME: "server.example", SERVER_PORT: "80" }, undefined],
  [{ HTTP_HOST: "evil.example", SERVER_NAME: "localhost", SERVER_PORT: "80" }, /evil\.example/],
  [{ GATEWAY_INTERFACE: "CGI/1.1" }, /malformed Host/],
  [{ GATEWAY_INTERFACE: "CGI/1.1", SERVER_NAME: "", SERVER_PORT: "80" }, /malformed Host/],
  [{ SERVER_NAME: "localhost", SERVER_PORT: "abc" }, /malformed Host/],
  [{ HTTP_ORIGIN: "http://localhost" }, /malformed Host/],
  [{ HTTP_HOST: "localhost", HTTP_ORIGIN: "" }, /another web page/],
  [{ HTTP_HOST: "localhost", HTTP_ORIGIN: "http://localhost, http://evil.example" }, /another web page/],
  [{ SERVER_NAME: "::1", SERVER_PORT: "8000", HTTP_ORIGIN: "http://[::1]:8000" }, undefined],
  [{ SERVER_NAME: "localhost", SERVER_PORT: "443", HTTP_ORIGIN: "https://localhost" }, undefined],
  [{ SERVER_NAME: "localhost", SERVER_PORT: "443", HTTP_ORIGIN: "http://localhost" }, /another web page/],
  [{ SERVER_NAME: "x".repeat(5000), SERVER_PORT: "80" }, /^.{1,300}$/],
];

for (const [env, fault] of environments) {
  tests(`a relay that tells ${JSON.stringify(env).slice(0, 100)}`, () => {
    const said = relayFault(env, ["console.example"]);
    if (fault) assert.match(said ?? "", fault);
    else assert.is(said, undefined);
  });
}

tests.run();

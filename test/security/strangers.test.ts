/** Whoever is at the other end of a WebSocket is told what concerns them, and nothing else of this machine. */
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { join, memoryExport, nbdServer, WebSocketError, webSocket } from "../../src/node/index.ts";
import { withWordsForOthers, wordsForOthers } from "../../src/streams/for-others.ts";
import { Sandbox, until, within } from "../harness.ts";
import { eachWay, type Way } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";

interface Context extends GatewayHere, Way {
  sandbox: Sandbox;
}

const tests = eachWay<Context>("strangers");

const GENERIC = "the session failed; the log of the other machine says why";
const NO_PLACE = "the other machine has no place for the disk; its log says why";

tests.before.each(async (context) => {
  const sandbox = new Sandbox();
  const hook = sandbox.path("hook");
  writeFileSync(hook, "#!/bin/sh\nexit 3\n");
  chmodSync(hook, 0o755);
  writeFileSync(sandbox.path("file.sock"), "");
  const configurations = {
    secret: { listen: `unix:${sandbox.path("secret.sock")}`, default: true },
    "not-a-socket": { listen: `unix:${sandbox.path("file.sock")}` },
    nowhere: { listen: `unix:${sandbox.path("nowhere/nbd.sock")}` },
    missing: { "nbd-device": sandbox.path("nbd0") },
    hooked: { listen: `unix:${sandbox.path("hooked.sock")}`, "state-hook": hook },
  };
  const { hasLogin } = context;
  Object.assign(context, { sandbox, ...(await gatewayHere(sandbox, configurations, { hasLogin })) });
});
tests.after.each(async ({ sandbox, running }) => {
  await running.close();
  await sandbox.end();
});

function serve({ port, headers }: GatewayHere, path: string, bytes = new Uint8Array(4096)) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`, { headers });
  const ended = join(webSocket(socket), nbdServer(memoryExport(bytes)));
  ended.catch(() => {});
  return { socket, ended };
}

/** The words with which a session ends. */
async function told(gateway: GatewayHere, path: string, bytes = new Uint8Array(4096)): Promise<string> {
  const { ended } = serve(gateway, path, bytes);
  const error = await within(
    10_000,
    "the end",
    ended.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
  assert.instance(error, WebSocketError);
  return (error as WebSocketError).reason ?? "";
}

for (const [path, words, logged] of [
  ["elsewhere", "there is no such configuration", /^there is no configuration "elsewhere"$/],
  ["not-a-socket", NO_PLACE, /^not-a-socket: .*file\.sock: there is something else of that name/],
  ["nowhere", NO_PLACE, /^nowhere: .*nbd\.sock: there is no such folder$/],
  ["missing", NO_PLACE, /^missing: .*"nbd-device": /],
  ["hooked", GENERIC, /^hooked: the state hook .*hook start hooked failed with exit status 3$/],
] as const) {
  tests(`/${path}: ${words}`, async (context) => {
    const { sandbox, log } = context;
    const reason = await told(context, path);
    assert.is(reason, words);
    assert.not.match(reason, new RegExp(`${basename(sandbox.folder)}|secret|hook|modprobe|/`));
    await until("the log has all of it", () => log.some((line) => logged.test(line)));
  });
}

tests("an export that is empty: its server is told", async (context) => {
  assert.is(await told(context, "secret", new Uint8Array(0)), "the export is empty, 0 bytes");
});

tests("the default configuration, in use: its name is not told", async (context) => {
  const { sandbox, log, hasLogin } = context;
  const first = serve(context, "");
  await until("it is served", () => existsSync(sandbox.path("secret.sock")));
  // Those who have a login are told who it is, and how long nothing was heard.
  const words = hasLogin
    ? /^in use since \d\d:\d\d from 127\.0\.0\.1(, silent for \d+ s)?$/
    : /^this configuration is in use by another session$/;
  assert.match(await told(context, ""), words);
  // The first one's line may come after it.
  assert.ok(log.includes('secret: configuration "secret" is in use by another session'), log.join("\n"));
  first.socket.close(1000);
  await first.ended;
});

tests.once("an error has the words for others that it was given, and no others", () => {
  const error = new Error("reading /home/somebody/secret failed");
  assert.is(wordsForOthers(error), GENERIC);
  assert.is(wordsForOthers(withWordsForOthers(error, "reading failed")), "reading failed");
  assert.is(wordsForOthers("a string"), GENERIC);
  assert.is(wordsForOthers(undefined), GENERIC);
  assert.is(wordsForOthers(withWordsForOthers(new Error("as it is"))), "as it is");
});

tests.run();

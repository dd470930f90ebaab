/** A gateway and nbd-serve with a relay between them that cuts the link, or goes silent, while libnbd reads. */
import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite, until } from "../../harness.ts";
import { randomImage, sha256 } from "../../image.ts";
import { UnreliableRelay } from "./unreliable-relay.ts";

interface Context {
  sandbox: Sandbox;
  gateway: Running;
  relay: UnreliableRelay;
  image: string;
  socket: string;
}

const tests = suite<Context>("a lost link");
const SIZE = 64 << 20;

tests.before.each(async (context) => {
  const sandbox = new Sandbox();
  Object.assign(context, { sandbox, socket: sandbox.path("nbd.sock"), image: sandbox.path("disk.img") });
  await randomImage(context.image, SIZE);
  const config = sandbox.path("config.json");
  writeFileSync(
    config,
    JSON.stringify({
      resume: 60,
      "state-hook": "/nowhere",
      configurations: { local: { listen: `unix:${context.socket}` } },
    }),
  );
  context.gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway listens", () => /http:\/\/\S+/.test(context.gateway.stdout));
  const { port } = new URL(/http:\/\/\S+/.exec(context.gateway.stdout)![0]);
  context.relay = await UnreliableRelay.start(Number(port));
});

tests.after.each(async ({ sandbox, relay }) => {
  await sandbox.end();
  await relay.close();
});

function serve({ sandbox, relay, image }: Context, ...options: string[]): Running {
  return sandbox.start(program("nbd-serve"), [...options, image, `ws://127.0.0.1:${relay.port}/local`]);
}

needing(tests, ["nbdcopy"])("a copy goes on when the link is cut again and again", async (context) => {
  const { sandbox, relay, socket } = context;
  const serving = serve(context);
  await until("the disk is there", () => existsSync(socket));
  const copy = sandbox.path("copy.img");
  const cutting = setInterval(() => relay.cut(), 300);
  try {
    await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, copy]);
  } finally {
    clearInterval(cutting);
  }
  assert.is(await sha256(copy), await sha256(context.image));
  assert.ok(
    relay.connections > 1,
    `${relay.connections} connections: ${context.gateway.stderr}\n${serving.stderr}`,
  );
});

tests.run();

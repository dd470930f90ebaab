/** A program that did not run for a while, as a suspended laptop does not, judges nobody by the time that it missed. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { memoryExport, nbdClient, socketTransport, webSocket } from "../../src/node/index.ts";
import { serve } from "../../src/serve.ts";
import { program, Sandbox, suite, until, within } from "../harness.ts";

const tests = suite("stopped");
let sandbox: Sandbox;

tests.before.each(() => {
  sandbox = new Sandbox();
});
tests.after.each(() => sandbox.end());

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

tests("an answer that came while the gateway was stopped for longer than its timeout counts", async () => {
  const path = sandbox.path("disk.sock");
  const config = {
    timeout: 3,
    "state-hook": "/nowhere",
    configurations: { disk: { listen: `unix:${path}` } },
  };
  await writeFile(sandbox.path("config.json"), JSON.stringify(config));
  const gateway = sandbox.start(program("nbd-gateway"), [
    "--config",
    sandbox.path("config.json"),
    "--port",
    "0",
    "--no-auth",
  ]);
  await until("the gateway listens", () => gateway.stdout.includes("\n"));

  const disk = memoryExport(
    Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff),
    { readOnly: true },
  );
  let asked = 0;
  const slow = {
    ...disk,
    async read(offset: number, length: number) {
      asked++;
      await sleep(500);
      return disk.read(offset, length);
    },
  };
  const ending = new AbortController();
  const serving = serve(webSocket(new WebSocket(gateway.stdout.trim().replace("http", "ws"))), slow, {
    signal: ending.signal,
  });
  serving.catch(() => {});
  await until("the disk is there", () => existsSync(path));

  const socket = createConnection({ path, allowHalfOpen: true });
  await once(socket, "connect");
  const remote = await nbdClient(socketTransport(socket));
  const reading = remote.read(0, 4096);
  reading.catch(() => {});
  await until("the read has come to the server", () => asked > 0);
  gateway.kill("SIGSTOP");
  await sleep(5000);
  gateway.kill("SIGCONT");
  const bytes = (await within(5000, "the read", reading)) as Uint8Array;
  assert.equal(Buffer.compare(bytes, (await disk.read(0, 4096)) as Uint8Array), 0);

  await remote.close();
  ending.abort();
  await serving;
});

tests.run();

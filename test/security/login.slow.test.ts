/** The time of those who do not log in. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { gateway, parseConfig, tokenAccess } from "../../src/node/index.ts";
import { readToken } from "../../src/node/login/token-file.ts";
import { root, suite, until } from "../harness.ts";

const tests = suite("the time of strangers");

tests(
  "who has not logged in after 10 s is disconnected, whatever else was asked; others are not",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "nbd-proxy-strangers-"));
    const tokenFile = join(folder, "token");
    const access = tokenAccess({ tokenFile, log: () => {} });
    const configurations = { one: { listen: `unix:${join(folder, "one.sock")}` } };
    const running = await gateway({
      config: parseConfig("config.json", JSON.stringify({ "state-hook": "/nowhere", configurations })),
      port: 0,
      staticFolder: join(root, "web"),
      access,
      log: () => {},
    });
    const port = Number(new URL(running.url).port);
    const timers: NodeJS.Timeout[] = [];
    const client = async (path: string, ...headers: string[]) => {
      const socket = createConnection(port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      await once(socket, "connect");
      const request = [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...headers, "\r\n"].join("\r\n");
      timers.push(setInterval(() => socket.writable && socket.write(request), 1000));
      return socket;
    };
    try {
      const since = performance.now();
      const stranger = await client("/page.css");
      const known = await client("/metadata", `Authorization: Bearer ${readToken(tokenFile)}`);
      await until("the stranger is disconnected", () => stranger.destroyed, 15_000);
      assert.ok(performance.now() - since > 9000);
      await new Promise((resolve) => setTimeout(resolve, 3000));
      assert.not.ok(known.destroyed);
      known.destroy();
    } finally {
      for (const timer of timers) clearInterval(timer);
      await running.close();
      access.close();
      rmSync(folder, { recursive: true });
    }
  },
);

tests.run();

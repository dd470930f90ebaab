/**
 * Builds whenever a source changes, and runs the gateway of what was built: npm run dev
 *
 * The gateway has the repository's config.json, and the options that stand behind "npm run dev --". It is started anew
 * after each build. Ctrl-C ends both.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { watch } from "rollup";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { default: builds } = await import("../rollup.config.mjs");

const command = ["dist/bin/nbd-gateway.js", "--config", "config.json", ...process.argv.slice(2)];

let gateway;
let isEnding = false;
/** Starting the gateway anew, one time after the other. */
let turn = Promise.resolve();

async function stop() {
  if (!gateway) return;
  const running = gateway;
  gateway = undefined;
  if (running.exitCode !== null || running.signalCode !== null) return;
  running.kill();
  await once(running, "exit");
}

async function restart() {
  await stop();
  if (!isEnding) gateway = spawn(process.execPath, command, { stdio: "inherit" });
}

const watcher = watch(builds);
let hasFailed = false;
watcher.on("event", (event) => {
  // The caches of plugins are closed with what a build gives.
  if (event.code === "BUNDLE_END" || event.code === "ERROR") event.result?.close();
  if (event.code === "START") hasFailed = false;
  else if (event.code === "END" && !hasFailed) turn = turn.then(restart);
  else if (event.code === "ERROR") {
    hasFailed = true;
    const words = event.error.message.trim().replace(/\s*\n\s*/g, " ");
    process.stderr.write(`the build failed, and the gateway stays as it was: ${words}\n`);
  }
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, async () => {
    isEnding = true;
    await Promise.all([watcher.close(), turn.then(stop)]);
    process.exit(0);
  });
}

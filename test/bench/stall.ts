/**
 * A reader that stops in the middle of an image for 10 s: how much memory our processes gain meanwhile.
 *
 *     node --import tsx test/bench/stall.ts     (needs libnbd-bin)
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Sandbox } from "../harness.ts";
import { memory, startPath } from "./path.ts";

const STALL_SECONDS = 10;

const sandbox = new Sandbox();
try {
  const { uri, gateway, serve } = await startPath(sandbox, 512);
  const reader = sandbox.start("nbdcopy", [uri, "null:"]);
  await sleep(1000);
  reader.kill("SIGSTOP");
  // What was on its way when the reader stopped arrives first.
  await sleep(500);
  const now = () => [memory(gateway.pid, "VmRSS"), memory(serve.pid, "VmRSS")] as const;
  const before = now();
  let most: readonly [number, number] = before;
  for (let i = 0; i < STALL_SECONDS * 10; i++) {
    await sleep(100);
    const [a, b] = now();
    most = [Math.max(most[0], a), Math.max(most[1], b)];
  }
  reader.kill("SIGCONT");
  const status = await reader.exit;
  console.log(`reader stopped for ${STALL_SECONDS} s, then ended with exit status ${status}`);
  console.log(`gateway   ${before[0]} MiB when it stopped, at most ${most[0]} MiB until it went on`);
  console.log(`nbd-serve ${before[1]} MiB when it stopped, at most ${most[1]} MiB until it went on`);
} finally {
  await sandbox.end();
}

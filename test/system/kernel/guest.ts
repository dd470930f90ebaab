/** What the tests that run in a machine need: devices, what the kernel says of them, and its log. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { type Sandbox, until } from "../../harness.ts";
import type { Entry } from "../link.ts";

/** Keys that make the configuration of a test one of a kernel device. */
export const onDevice = (index = 0, keys: Entry = {}): Entry => ({
  listen: undefined,
  "nbd-device": `/dev/nbd${index}`,
  ...keys,
});

/** What sysfs says of a device. */
export interface DeviceState {
  size: number;
  pid: number | undefined;
  backend: string | undefined;
  isReadOnly: boolean;
}

export function deviceState(index = 0): DeviceState {
  const read = (name: string) => {
    const file = `/sys/block/nbd${index}/${name}`;
    return existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
  };
  return {
    size: Number(read("size")) * 512,
    pid: processOf(read("pid")),
    backend: read("backend"),
    isReadOnly: read("ro") === "1",
  };
}

/** The process that a thread is of; the thread, where it has ended. */
function processOf(thread: string | undefined): number | undefined {
  if (thread === undefined) return undefined;
  const file = `/proc/${thread}/status`;
  const status = existsSync(file) ? readFileSync(file, "utf8") : "";
  return Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread);
}

/** Waits until nothing is attached to a device any more. */
export async function free(index = 0, milliseconds = 10_000): Promise<void> {
  await until(
    `nbd${index} is free`,
    () => {
      const { size, pid } = deviceState(index);
      return size === 0 && pid === undefined;
    },
    milliseconds,
  );
}

const queueFile = (name: string, index: number) => `/sys/block/nbd${index}/queue/${name}`;

export const queueSettings = (index = 0): Record<string, number> =>
  Object.fromEntries(
    ["max_sectors_kb", "read_ahead_kb", "nr_requests"].map((name) => [
      name,
      Number(readFileSync(queueFile(name, index), "utf8")),
    ]),
  );

/** Sets the queue as it was, where a session that was killed has left its own settings. */
export function setQueue(settings: Record<string, number>, index = 0): void {
  const now = queueSettings(index);
  for (const [name, value] of Object.entries(settings))
    if (now[name] !== value) writeFileSync(queueFile(name, index), `${value}`);
}

/** Lines that the kernel logs when a server is wrong, or the kernel itself. */
const ALARMING = /Wrong magic|Unexpected reply|Double reply|WARNING|BUG|Oops|blocked for more than/;

/** Lines that the kernel logs when a device, or a file system on it, has met an error. */
const ERRORS =
  /I\/O error|EXT4-fs (error|warning)|Aborting journal|JBD2: Error|Connection timed out|Other side returned error/;

export const kernelLog = () => execFileSync("dmesg", { encoding: "utf8", maxBuffer: 1 << 26 });

/** Fails when the kernel has met something that it must never meet. */
export function assertQuietKernel(): void {
  assertNoLines(ALARMING);
}

/** Fails also when a read or a write has failed since the machine was started. */
export function assertNoErrors(): void {
  assertQuietKernel();
  assertNoLines(ERRORS);
}

function assertNoLines(pattern: RegExp): void {
  const log = kernelLog();
  assert.equal(
    log.split("\n").filter((line) => pattern.test(line)),
    [],
    `the kernel's log\n${log.slice(-4000)}`,
  );
}

/** A state hook that notes its calls in a file, after a script of the test's has run. */
export function writeHook(sandbox: Sandbox, script = ""): void {
  const text = `#!/bin/sh\n${script}\necho "$@" >> ${sandbox.path("calls")}\n`;
  writeFileSync(sandbox.path("state"), text, { mode: 0o755 });
}

/** What the hook was called with. */
export function hookCalls(sandbox: Sandbox): string[] {
  const file = sandbox.path("calls");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

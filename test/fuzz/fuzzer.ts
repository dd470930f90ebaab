/** Runs the fuzzer, one process a target: it bundles the target, gives it its seeds, and keeps what it finds. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { concat } from "../../src/streams/concat.ts";
import { formatConversation } from "../../src/transport/conversation.ts";
import { root } from "../harness.ts";
import { nodeCommand } from "./glibc.ts";
import { readInput } from "./input.ts";
import { dictionary, seedsOf, targets } from "./seeds.ts";

/** Megabytes that a target's process may take, the fuzzer's own included. */
const MEMORY = 1024;
/** Seconds that one input may take: all but an endless loop ends long before, on a slow machine too. */
const PATIENCE = 60;
/** Seconds, besides its time, after which a fuzzer that has not ended is killed. */
const GRACE = 300;
/** What the fuzzer writes in any case: where it is, how it was started, warnings of its own, the bytes of an input. */
const USUAL =
  /^(#\d+\s|INFO: |Dictionary: |stat::|Done |\(node:|\(Use |\[BABEL\]|artifact_prefix=|Base64: |\s*0x[0-9a-f]+,|\s*$)/;
/** How many of its other lines are shown, which tell the reason of a failure. */
const REASON_LINES = 30;

export interface Result {
  name: string;
  /** How many inputs were run. */
  executions: number;
  /** How many edges of the code they reached, and the fuzzer's count of features. */
  coverage: number;
  features: number;
  /** What it found, as fixtures. */
  finds: string[];
  /** "nothing found", or what went wrong. */
  outcome: string;
  /** What the fuzzer wrote about it. */
  reason: string;
}

export const isFine = ({ outcome }: Result) => outcome === "nothing found";

/** Fuzzes one target for so many seconds. Every find is written to fixtures/hostile. */
export async function fuzz(name: string, seconds: number): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), `nbd-proxy-fuzz-${name}-`));
  try {
    return await fuzzIn(folder, name, seconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fuzzIn(folder: string, name: string, seconds: number): Promise<Result> {
  const jazzer = join(dirname(createRequire(import.meta.url).resolve("@jazzer.js/core")), "cli.js");
  const [command, ...args] = [...nodeCommand(), jazzer];
  const corpus = join(folder, "corpus");
  mkdirSync(corpus);
  for (const [i, seed] of (await seedsOf(name)).entries()) writeFileSync(join(corpus, `seed-${i}`), seed);
  writeFileSync(join(folder, "dictionary"), dictionary(name));
  const bundle = join(folder, "target.cjs");
  await build({
    entryPoints: [join(root, "test/fuzz/targets", `${name}.ts`)],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "cjs",
    sourcemap: "inline",
    define: { "import.meta.url": JSON.stringify(import.meta.url) },
    logLevel: "error",
  });
  const limits = [
    `-max_total_time=${seconds}`,
    `-timeout=${PATIENCE}`,
    `-report_slow_units=${PATIENCE}`,
    `-rss_limit_mb=${MEMORY}`,
    "-max_len=4096",
    `-dict=${join(folder, "dictionary")}`,
    `-artifact_prefix=${folder}/`,
    "-print_final_stats=1",
  ];
  const child = spawn(
    command!,
    [...args, bundle, corpus, "--timeout", String(PATIENCE * 1000), "--", ...limits],
    // Its own coverage is all that counts in it.
    { cwd: folder, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NODE_V8_COVERAGE: "" } },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
    });
  let isLate = false;
  const impatience = setTimeout(
    () => {
      isLate = true;
      child.kill("SIGKILL");
    },
    (seconds + GRACE) * 1000,
  );
  const status = await new Promise((resolve) =>
    child.once("close", (code, signal) => resolve(signal ?? code)),
  );
  clearTimeout(impatience);
  const finds = readdirSync(folder)
    // An input that is merely slow, a slow-unit, is none: the machine may be slow.
    .filter((file) => /^(crash|timeout|oom|leak)-/.test(file))
    .map((file) => keep(name, readFileSync(join(folder, file))));
  const last = [...output.matchAll(/^#(\d+).*cov: (\d+) ft: (\d+)/gm)].at(-1) ?? [];
  const [, executions = 0, coverage = 0, features = 0] = last.map(Number);
  let outcome = "nothing found";
  if (finds.length > 0) outcome = `FOUND ${finds.join(" ")}`;
  else if (isLate) outcome = `FAILED: the fuzzer did not end within ${seconds + GRACE} s`;
  else if (status !== 0) outcome = `FAILED (${status})`;
  else if (executions === 0) outcome = "FAILED: nothing was run";
  const reason = output.split("\n").filter((line) => !USUAL.test(line));
  return {
    name,
    executions,
    coverage,
    features,
    finds,
    outcome,
    reason: reason.slice(-REASON_LINES).join("\n"),
  };
}

/** Writes an input as a fixture; returns where. */
function keep(name: string, input: Uint8Array): string {
  const { variant, chunks } = readInput(input);
  const { from } = targets[name]!;
  const hash = createHash("sha256").update(input).digest("hex").slice(0, 8);
  const path = join("fixtures/hostile", `${name}-${hash}.nbd`);
  const how = `found by test/fuzz; variant ${variant}, chunks of ${chunks[0]?.byteLength ?? 0}`;
  const bytes = concat([...chunks, new Uint8Array(0)]);
  writeFileSync(join(root, path), `# ${how}\n\n${formatConversation([{ from, bytes }])}`);
  return path;
}

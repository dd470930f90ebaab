/**
 * Fuzzes both sides of the protocol, guided by coverage: node --import tsx test/fuzz/run.ts [TARGET...]
 *
 * FUZZ_SECONDS (default 60) is each target's time; two run at a time. A find is written to fixtures/hostile, where
 * test/nbd/finds.test.ts replays it, and the exit status is 1.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { concat } from "../../src/streams/payload.ts";
import { formatConversation } from "../../src/transport/conversation.ts";
import { root } from "../harness.ts";
import { nodeCommand } from "./glibc.ts";
import { readInput } from "./input.ts";
import { dictionary, seedsOf, targets } from "./seeds.ts";

const seconds = Number(process.env.FUZZ_SECONDS ?? 60);
if (!(seconds > 0)) throw new Error("FUZZ_SECONDS must be a number of seconds");
const chosen = process.argv.slice(2);
const names = Object.keys(targets);
for (const name of chosen) {
  if (!names.includes(name)) throw new Error(`no target is called ${name}; there are ${names.join(", ")}`);
}
const queue = chosen.length > 0 ? chosen : names;

const ATATIME = 2;
/** Megabytes that a target's process may take, the fuzzer's own included. */
const MEMORY = 1024;
/** Seconds that one input may take. */
const PATIENCE = 10;

interface Result {
  isFine: boolean;
  row: string;
}

const folder = mkdtempSync(join(tmpdir(), "nbd-proxy-fuzz-"));
const results: Result[] = [];
try {
  const node = nodeCommand();
  const jazzer = join(dirname(createRequire(import.meta.url).resolve("@jazzer.js/core")), "cli.js");
  writeFileSync(join(folder, "dictionary"), dictionary());
  const worker = async () => {
    for (let name = queue.shift(); name; name = queue.shift())
      results.push(await fuzz(name, [...node, jazzer]));
  };
  await Promise.all(Array.from({ length: ATATIME }, worker));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  [
    "",
    "target              executions   coverage   features   result",
    ...results.map(({ row }) => row),
  ].join("\n"),
);
process.exitCode = results.every(({ isFine }) => isFine) ? 0 : 1;

async function fuzz(name: string, [command, ...args]: string[]): Promise<Result> {
  const own = join(folder, name);
  const corpus = join(own, "corpus");
  mkdirSync(corpus, { recursive: true });
  for (const [i, seed] of (await seedsOf(targets[name]!)).entries())
    writeFileSync(join(corpus, `seed-${i}`), seed);
  const bundle = join(own, "target.cjs");
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
    `-rss_limit_mb=${MEMORY}`,
    "-max_len=4096",
    `-dict=${join(folder, "dictionary")}`,
    `-artifact_prefix=${own}/`,
    "-print_final_stats=1",
  ];
  const child = spawn(
    command!,
    [...args, bundle, corpus, "--timeout", String(PATIENCE * 1000), "--", ...limits],
    {
      cwd: own,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
    });
  const status = await new Promise((resolve) =>
    child.once("close", (code, signal) => resolve(signal ?? code)),
  );
  const finds = readdirSync(own).filter((file) => /^(crash|timeout|oom|leak|slow-unit)-/.test(file));
  const isFine = status === 0 && finds.length === 0;
  for (const file of finds) console.log(`${name}: ${keep(name, readFileSync(join(own, file)))}`);
  const last = output.match(/^#\d+.*cov: \d+ ft: \d+.*$/gm)?.at(-1) ?? "";
  const [, executions = "0", coverage = "0", features = "0"] =
    /^#(\d+).*cov: (\d+) ft: (\d+)/.exec(last) ?? [];
  if (!isFine) console.log(output.split("\n").slice(-60).join("\n"));
  const columns = [name.padEnd(18), ...[executions, coverage, features].map((figure) => figure.padStart(11))];
  return {
    isFine: isFine && Number(executions) > 0,
    row: `${columns.join("")}   ${isFine ? "nothing found" : `FAILED (${status})`}`,
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

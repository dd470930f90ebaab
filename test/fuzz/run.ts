/**
 * Fuzzes both sides of the protocol, guided by coverage: node --import tsx test/fuzz/run.ts [TARGET...]
 *
 * FUZZ_SECONDS (default 60) is each target's time; two run at a time. A find is written to fixtures/hostile, where
 * test/nbd/finds.test.ts replays it, and the exit status is 1.
 */
import { fuzz, isFine, type Result } from "./fuzzer.ts";
import { targets } from "./seeds.ts";

const ATATIME = 2;

const seconds = Number(process.env.FUZZ_SECONDS ?? 60);
if (!(seconds > 0)) throw new Error("FUZZ_SECONDS must be a number of seconds");
const chosen = process.argv.slice(2);
const names = Object.keys(targets);
for (const name of chosen) {
  if (!names.includes(name)) throw new Error(`no target is called ${name}; there are ${names.join(", ")}`);
}
const queue = chosen.length > 0 ? chosen : names;

const results: Result[] = [];
const worker = async () => {
  for (let name = queue.shift(); name; name = queue.shift()) results.push(await fuzz(name, seconds));
};
await Promise.all(Array.from({ length: ATATIME }, worker));

for (const result of results) {
  if (!isFine(result)) console.log(`\n${result.name}: ${result.outcome}\n${result.reason}`);
}
console.log("\ntarget              executions   coverage   features   result");
for (const { name, executions, coverage, features, outcome } of results) {
  const columns = [executions, coverage, features].map((figure) => String(figure).padStart(11));
  console.log(`${name.padEnd(18)}${columns.join("")}   ${outcome}`);
}
process.exitCode = results.every(isFine) ? 0 : 1;

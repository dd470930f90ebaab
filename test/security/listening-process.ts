/**
 * A process that offers 64 MiB on the unix socket PATH, or on descriptor 3, a socket that listens; at each line on standard
 * input it tells of itself as JSON: bytes in flight of the clients' budget, bytes of heap and buffers after a garbage
 * collection, lines logged.
 *
 *     node --expose-gc --import tsx test/security/listening-process.ts [PATH]
 */
import { listen, listenOn, processBudget } from "../../src/node/session/listen.ts";

export interface Report {
  inFlight: number;
  memory: number;
  lines: string[];
}

const SIZE = 1 << 26;
const budget = processBudget();
const lines: string[] = [];
const zeroes = new Uint8Array(SIZE);
// Each reply in memory of its own, as that of a link is.
const target = {
  size: SIZE,
  read: async (at: number, n: number) => zeroes.slice(at, at + n),
  close: async () => {},
};
const options = { budget, log: (line: string) => lines.push(line) };
const path = process.argv[2];
await (path === undefined ? listenOn(target, 3, options) : listen(target, { path }, options));

process.stdin.on("data", () => {
  globalThis.gc!();
  // What was garbage is freed by a thread.
  setTimeout(() => {
    const { heapUsed, external } = process.memoryUsage();
    const report: Report = { inFlight: budget.used, memory: heapUsed + external - SIZE, lines };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }, 100);
});
process.stdout.write("listening\n");

/**
 * A kernel device over each way, in User-Mode Linux: what is read of it a second. The figures are to be compared with
 * each other only, as a system call there costs many times what it does elsewhere.
 * Run: node --import tsx test/bench/kernel.ts
 */
import { runInMachine } from "../system/kernel/machine.ts";
import { userModeLinux } from "../system/kernel/user-mode-linux.ts";

interface Row {
  name: string;
  first: number;
  sequential: number;
  random1: number;
  random32: number;
}

const { status, output } = await runInMachine(userModeLinux, "test/bench/kernel.uml.ts", { memory: 2048 });
if (status !== 0) throw new Error(output);
const rows = output
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line) as Row);
const [peer] = rows;
for (const { name, first, sequential, random1, random32 } of rows) {
  const beside = (value: number, other: number) => `${value.toFixed(0)} (${(value / other).toFixed(2)})`;
  console.log(
    `${name}: ${beside(sequential, peer!.sequential)} MB/s in reads of 1 MiB (of the first 128 MiB ${beside(first, peer!.first)}); ` +
      `${beside(random1, peer!.random1)} and ${beside(random32, peer!.random32)} random reads of 4 KiB a second at depth 1 and 32`,
  );
}

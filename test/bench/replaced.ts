/**
 * What is replaced, and what replaces it: an image through WebSocket, websocketd and a relay of bytes at its best, and
 * through our programs, by one client that makes three copies and then reads at random. All ways take turns.
 *
 *     node --import tsx test/bench/replaced.ts [ROUNDS] [ROUND-TRIP] [MIB]   (default 3, 0 ms, 256; needs the build,
 *                                                              python3-libnbd, socat and websocketd)
 *     node --import tsx test/bench/replaced.ts uml [ROUNDS]   (the same in User-Mode Linux, which has one slow processor)
 */
import { runInMachine } from "../system/kernel/machine.ts";
import { userModeLinux } from "../system/kernel/user-mode-linux.ts";
import { compareWays } from "./replaced-ways.ts";

const [first, ...rest] = process.argv.slice(2);
if (first === "uml") {
  const [rounds = "3"] = rest;
  const options = { memory: 2048, env: { ROUNDS: rounds } };
  const { status, output } = await runInMachine(userModeLinux, "test/bench/replaced.uml.ts", options);
  console.log(output);
  process.exitCode = status;
} else {
  const [rounds = 3, roundTrip = 0, mebibytes = 256] = process.argv.slice(2).map(Number);
  await compareWays(rounds, roundTrip, mebibytes);
}

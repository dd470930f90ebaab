/**
 * A kernel device over distance, with all settings as they are by default: what a reader gets of /dev/nbd0 through the
 * page cache, 128 KiB at a time, one read after the other, over 100 Mbit/s; and over 50 ms without a cap.
 *
 *     node --import tsx test/bench/kernel-distance.ts     (needs root, the build and what CI installs)
 *
 * In User-Mode Linux, with one emulated processor: the kernel with the device, nbd-gateway, the reader (dd). Outside of
 * it, at the full speed of this machine: nbd-serve and the link, whose other end is the gateway. Between the two is a
 * tap without delay. The gateway has served one session before those that are measured: it takes the emulated
 * processor seconds to compile what is in use for the first time.
 *
 * Beside it, through the same link and the same tap:
 * - a bare stream, without any protocol or device: what the link, the tap and the machine can do;
 * - nbd-client at a plain server (one request, one reply) outside, without the WebSocket that it would have in the
 *   first generation, which would only take time: through the page cache, where the kernel's own read-ahead has two
 *   requests of 128 KiB on their way; and past it (O_DIRECT), where a read is a request.
 */
import { root } from "../harness.ts";
import { beside } from "../system/kernel/beside.ts";
import { runInMachine } from "../system/kernel/machine.ts";
import { RATE } from "./far-link.ts";
import type { Row } from "./kernel-distance.uml.ts";

const outside = `${process.execPath} --import tsx test/bench/kernel-distance.outside.ts`;
const machine = beside(() => `(cd ${root} && exec ${outside}) &`);
const { status, output } = await runInMachine(machine, "test/bench/kernel-distance.uml.ts", { memory: 2048 });
if (status !== 0) throw new Error(output);

const ofLink = (rate: number, isCapped: boolean) =>
  `${rate.toFixed(1)} MB/s${isCapped ? `, ${((1e8 * rate) / RATE).toFixed(0)} %` : ""}`;
const against = (ours: number, rate: number) => `${rate.toFixed(1)} MB/s, 1/${(ours / rate).toFixed(1)}`;

console.log(`
| round trip | /dev/nbd0, of the link | bare stream, of the link | plain, of /dev/nbd0 | plain, O_DIRECT |
|---|---|---|---|---|`);
for (const line of output.split("\n").filter((line) => line.startsWith("{"))) {
  const { link, ours, bare, plain, direct } = JSON.parse(line) as Row;
  const isCapped = link.rate !== undefined;
  const cells = [
    `${link.roundTrip} ms${isCapped ? "" : ", no cap"}`,
    ofLink(ours, isCapped),
    ofLink(bare, isCapped),
    against(ours, plain),
    against(ours, direct),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

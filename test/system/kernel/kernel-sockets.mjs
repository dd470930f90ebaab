/**
 * Loaded into nbd-gateway by a test (`node --import`): on SIGUSR2 it says on standard error how many bytes have come
 * in on each socket to the kernel's nbd driver, by its descriptor. No system call tells that of a pair of sockets.
 */
import { Socket } from "node:net";

process.on("SIGUSR2", () => {
  const pairs = process
    ._getActiveHandles()
    .filter((handle) => handle instanceof Socket && handle.readable && !handle.writable)
    .map(({ _handle: { fd }, bytesRead }) => [fd, bytesRead])
    .filter(([fd]) => fd > 2);
  process.stderr.write(`kernel sockets ${JSON.stringify(Object.fromEntries(pairs))}\n`);
});

import { readFile } from "node:fs/promises";

/** The right to administer the machine, which attaching a device needs (capabilities(7)). */
const CAP_SYS_ADMIN = 21n;

/** Whether this process may attach devices. */
export async function canAdminister(): Promise<boolean> {
  const status = await readFile("/proc/self/status", "ascii");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

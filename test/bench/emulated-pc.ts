/** A PC, emulated by QEMU without the help of this machine's processor, that boots a CD in its IDE drive. */
import type { Running, Sandbox } from "../harness.ts";

/** Boots until the line is on the serial console: milliseconds; undefined when that took longer than `patience`. */
export async function bootFrom(
  sandbox: Sandbox,
  socket: string,
  line: RegExp,
  patience: number,
): Promise<number | undefined> {
  const start = performance.now();
  const pc = sandbox.start("qemu-system-x86_64", [
    ...["-accel", "tcg", "-m", "1024", "-nodefaults", "-display", "none", "-monitor", "none"],
    ...["-serial", "stdio", "-no-reboot", "-boot", "d"],
    ...["-drive", `file=nbd+unix:///?socket=${socket},format=raw,if=ide,media=cdrom,readonly=on`],
  ]);
  try {
    return await said(pc, line, patience).then((isSaid) => (isSaid ? performance.now() - start : undefined));
  } finally {
    pc.kill("SIGKILL");
    await pc.exit;
  }
}

function said(pc: Running, line: RegExp, patience: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(resolve, patience, false);
    pc.process.stdout!.on("data", () => {
      if (!line.test(pc.stdout)) return;
      clearTimeout(late);
      resolve(true);
    });
    pc.exit.then((status) => {
      clearTimeout(late);
      reject(new Error(`QEMU ended with ${status}: ${pc.stderr}${pc.stdout}`));
    }, reject);
  });
}

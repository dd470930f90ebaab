import type { Running, Sandbox } from "../harness.ts";
import { within } from "../harness.ts";

/** qemu-io with `reconnect-delay`, as the README has it: a client that waits for the next session. */
export class PatientQemu {
  readonly #running: Running;
  #output = "";

  /** @param socket of the export, whose bytes are expected to be `a` wherever something is read */
  constructor(sandbox: Sandbox, socket: string) {
    const disk = `driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=${socket},file.reconnect-delay=60`;
    this.#running = sandbox.start("qemu-io", ["-r", "--image-opts", disk], { wire: true });
    this.#running.process.stdout!.on("data", (text) => {
      this.#output += text;
    });
  }

  /** Asks for 4 KiB at an offset that may have a suffix, as `64k`. */
  read(offset: string): void {
    this.#running.process.stdin!.write(`read -P 0x61 ${offset} 4k\n`);
  }

  /** The lines that tell how the reads have ended. */
  get answers(): string[] {
    return this.#output.match(/^.*(?:read 4096\/4096 bytes|failed|error).*$/gm) ?? [];
  }

  /** Ends it, and returns its exit status. */
  async quit(): Promise<number | NodeJS.Signals> {
    this.#running.process.stdin!.end("quit\n");
    return within(10_000, "the end of qemu-io", this.#running.exit);
  }
}

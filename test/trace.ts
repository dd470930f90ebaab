/** Traces: what real programs read, one after the other, as `fixtures/traces` has them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./harness.ts";

/** The bytes of the image that the traces in the fixtures are of. */
export const TRACED_SIZE = 18_778_112;

export const TRACES = ["boot-ide-cd", "boot-scsi-cd", "boot-virtio-disk"] as const;

export interface TracedRead {
  /** Bytes. */
  offset: number;
  length: number;
  /** Milliseconds since the answer to the read before. */
  pause: number;
}

/** Reads one of the fixtures. */
export function readTrace(name: (typeof TRACES)[number]): TracedRead[] {
  const lines = readFileSync(join(root, "fixtures/traces", `${name}.trace`), "utf8").split("\n");
  return lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [offset, length, pause] = line.split(" ").map(Number);
      return { offset: offset!, length: length!, pause: pause! / 1000 };
    });
}

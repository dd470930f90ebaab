/** What the manuals show is what is tested. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./harness.ts";

/** The indented block of `bin/nbd-gateway.1.md` that begins with a line, with the path of its socket put in. */
export function exampleOfGateway(first: string, socket: string): string {
  const text = readFileSync(join(root, "bin/nbd-gateway.1.md"), "utf8");
  const blocks = text.match(/(?:^ {4}.*\n)+/gm) ?? [];
  const found = blocks.filter((block) => block.startsWith(`    ${first}\n`));
  if (found.length !== 1)
    throw new Error(`bin/nbd-gateway.1.md has ${found.length} examples that begin with ${first}`);
  return found[0]!.replace(/^ {4}/gm, "").replaceAll("/run/nbd-gateway/http.sock", socket);
}

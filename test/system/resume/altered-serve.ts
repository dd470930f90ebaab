import type { Sandbox } from "../../harness.ts";
import { bundle } from "../kernel/bundle.ts";

/** Makes a script of nbd-serve with another file in place of src/node/file.ts. */
const altered = (sandbox: Sandbox, name: string) =>
  bundle(sandbox, "bin/nbd-serve.ts", {
    name: `${name}.mjs`,
    instead: { "src/node/file.ts": `test/system/resume/${name}.ts` },
  });

/** A script of nbd-serve with a disk that loses any part of what was not flushed when it is killed. */
export const losingServe = (sandbox: Sandbox): Promise<string> => altered(sandbox, "losing-file");

/** A script of nbd-serve that holds a write back: see holding-file.ts. */
export const holdingServe = (sandbox: Sandbox): Promise<string> => altered(sandbox, "holding-file");

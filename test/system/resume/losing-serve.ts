import type { Sandbox } from "../../harness.ts";
import { bundle } from "../kernel/bundle.ts";

/** Makes a script of nbd-serve with a disk that loses any part of what was not flushed when it is killed. */
export function losingServe(sandbox: Sandbox): Promise<string> {
  return bundle(sandbox, "bin/nbd-serve.ts", {
    name: "losing-serve.mjs",
    instead: { "src/node/file.ts": "test/system/resume/losing-file.ts" },
  });
}

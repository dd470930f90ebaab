import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { root, type Sandbox } from "../../harness.ts";

/** What does not run out of a bundle is loaded from where it is. */
const installed: Plugin = {
  name: "installed",
  setup({ onResolve }) {
    onResolve({ filter: /^(playwright-core|ws|koffi)$/ }, ({ path }) => ({
      path: import.meta.resolve(path),
      external: true,
    }));
  },
};

/**
 * Makes one file of JavaScript of a script of this checkout: where each file and each line takes its time, tsx would take
 * many seconds. Returns its path.
 */
export async function bundle(sandbox: Sandbox, script: string): Promise<string> {
  const outfile = sandbox.path("script.mjs");
  await build({
    entryPoints: [join(root, script)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // The harness finds the checkout by it.
    define: { "import.meta.url": JSON.stringify(pathToFileURL(join(root, "test/harness.ts"))) },
    plugins: [installed],
    sourcemap: "inline",
    logLevel: "warning",
  });
  return outfile;
}

import { join, relative } from "node:path";
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

/** Puts files in the places of others. */
const exchanged = (instead: Readonly<Record<string, string>>): Plugin => ({
  name: "exchanged",
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ path, importer, resolveDir }) => {
      const other = instead[relative(root, join(resolveDir, path))];
      if (other === undefined || importer === join(root, other)) return undefined;
      return { path: join(root, other) };
    });
  },
});

export interface BundleOptions {
  /** The name of the file that is made. */
  name?: string;
  /** Files of the checkout, and those that take their places. What takes a place still gets the file itself. */
  instead?: Readonly<Record<string, string>>;
}

/**
 * Makes one file of JavaScript of a script of this checkout: where each file and each line takes its time, tsx would take
 * many seconds. Returns its path.
 */
export async function bundle(
  sandbox: Sandbox,
  script: string,
  { name = "script.mjs", instead = {} }: BundleOptions = {},
): Promise<string> {
  const outfile = sandbox.path(name);
  await build({
    entryPoints: [join(root, script)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // The harness finds the checkout by it.
    define: { "import.meta.url": JSON.stringify(pathToFileURL(join(root, "test/harness.ts"))) },
    plugins: [installed, exchanged(instead)],
    sourcemap: "inline",
    logLevel: "warning",
  });
  return outfile;
}

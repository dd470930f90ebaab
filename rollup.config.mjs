import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import esbuild from "rollup-plugin-esbuild";

const typescript = (options = {}) => [
  nodeResolve(),
  esbuild({ target: "es2022", loaders: { ".json": "json" }, ...options }),
];

/** Runs something once a build has been written; `files` are its input too, for those who watch for changes. */
const afterwards = (run, files = []) => ({
  name: "afterwards",
  buildStart() {
    for (const file of files) this.addWatchFile(file);
  },
  writeBundle: run,
});

/** What the page has besides its script. */
const pageFiles = ["index.html", "page.css", "icon.svg"];

/** Writes the type declarations of the library's entries and of what they name. */
function declareTypes(...entries) {
  const options =
    "--ignoreConfig --declaration --emitDeclarationOnly --outDir dist/types --rootDir . --strict --skipLibCheck " +
    "--target es2022 --module esnext --moduleResolution bundler --lib es2022,dom --types node --allowImportingTsExtensions";
  execFileSync("node_modules/.bin/tsc", [...options.split(" "), ...entries], { stdio: "inherit" });
}

/** What Node loads from node_modules stays there. */
const installed = /^(node:|ws$|mrmime$|valibot$|web-streams-polyfill$|koffi$)/;

/**
 * What is in dist/bin: the first line is Node's, since npm's shims on Windows run what it names. A CommonJS module, as
 * Node 20 reads an ES module with threads of the pool, whose number is then settled before the module's first line runs.
 */
function writeLauncher(name, settings = "") {
  const file = `dist/bin/${name}.js`;
  writeFileSync(file, `#!/usr/bin/env node\n${settings}import("../programs/${name}.js");\n`);
  chmodSync(file, 0o755);
}

/**
 * Each kernel device may hold two threads of the pool while its remote is slow (open(2) and fsync(2) of the device wait
 * for it), and there are four unless one says otherwise.
 */
const manyThreads = 'process.env.UV_THREADPOOL_SIZE ??= "32";\n';

export default [
  {
    input: {
      "programs/nbd-proxy": "bin/nbd-proxy.ts",
      "programs/nbd-gateway": "bin/nbd-gateway.ts",
      "programs/nbd-serve": "bin/nbd-serve.ts",
      "node/index": "src/node/index.ts",
    },
    external: installed,
    plugins: [
      ...typescript(),
      afterwards(() => {
        mkdirSync("dist/bin", { recursive: true });
        writeFileSync("dist/bin/package.json", '{ "type": "commonjs" }\n');
        for (const name of ["nbd-proxy", "nbd-serve"]) writeLauncher(name);
        writeLauncher("nbd-gateway", manyThreads);
        declareTypes("src/index.ts", "src/node/index.ts");
      }),
    ],
    output: {
      dir: "dist",
      format: "es",
      chunkFileNames: "node/chunks/[name]-[hash].js",
    },
  },
  {
    input: "src/index.ts",
    plugins: typescript(),
    output: { file: "dist/browser/nbd-proxy.js", format: "es" },
  },
  {
    input: "web/nbd.ts",
    plugins: typescript({ minify: true }),
    output: { file: "dist/web/js/nbd.js", format: "iife", name: "NBDServer", exports: "default" },
  },
  {
    input: "web/page.ts",
    plugins: [
      ...typescript({ minify: true }),
      afterwards(
        () => {
          for (const file of pageFiles) cpSync(`web/${file}`, `dist/web/${file}`);
        },
        pageFiles.map((file) => `web/${file}`),
      ),
    ],
    output: { file: "dist/web/page.js", format: "es" },
  },
];

import { execFileSync } from "node:child_process";
import { chmodSync, cpSync } from "node:fs";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import esbuild from "rollup-plugin-esbuild";

const typescript = (options = {}) => [
  nodeResolve(),
  esbuild({ target: "es2022", loaders: { ".json": "json" }, ...options }),
];

/** Runs something once a build has been written. */
const afterwards = (run) => ({ name: "afterwards", writeBundle: run });

/** Writes the type declarations of the library's entries and of what they name. */
function declareTypes(...entries) {
  const options =
    "--ignoreConfig --declaration --emitDeclarationOnly --outDir dist/types --rootDir . --strict --skipLibCheck " +
    "--target es2022 --module esnext --moduleResolution bundler --lib es2022,dom --types node --allowImportingTsExtensions";
  execFileSync("node_modules/.bin/tsc", [...options.split(" "), ...entries], { stdio: "inherit" });
}

/** What Node loads from node_modules stays there. */
const installed = /^(node:|ws$|sirv$|valibot$|web-streams-polyfill$|koffi$)/;

/**
 * How a program begins: a shell command and a line of JavaScript at once, as not every env(1) can hand on options
 * (busybox has no -S). V8 lets buffers that nobody uses any more lie until their size is twice that of its young
 * generation: with 2 MiB instead of 16, 20 MB less memory for nbd-serve, at the same speed.
 */
const launcher = ({ before = "", environment = "", options = "--max-semi-space-size=2" } = {}) => `#!/bin/sh
":" //; ${before}${environment}exec node ${options} "$0" "$@"`;

/** With an option of V8's, Node has to compile what it has compiled ahead: a tenth of what --metadata takes, for nothing. */
const proxy = { before: 'case "$*" in *--metadata*) exec node "$0" "$@" ;; esac; ' };

/**
 * Each kernel device may hold two of Node's threads while its remote is slow (open(2) and fsync(2) of the device wait for
 * it), and there are four unless one says otherwise.
 *
 * V8 counts buffers as part of its heap, which is so small here that it would mark all of it for every 12 MB of them:
 * hence a heap that may grow to 24 MB first. Where its compiler inlines a third of what it would, the gateway takes a sixth
 * less for the first half gigabyte; and glibc keeps 10 MB less with two arenas than with one for each thread. Node 20, 22 and
 * 24 know these options.
 */
const gateway = {
  environment: `UV_THREADPOOL_SIZE=\${UV_THREADPOOL_SIZE:-32} MALLOC_ARENA_MAX=\${MALLOC_ARENA_MAX:-2} `,
  options: "--max-semi-space-size=1 --initial-old-space-size=24 --max-inlined-bytecode-size-cumulative=300",
};

export default [
  {
    input: {
      "bin/nbd-proxy": "bin/nbd-proxy.ts",
      "bin/nbd-gateway": "bin/nbd-gateway.ts",
      "bin/nbd-serve": "bin/nbd-serve.ts",
      "node/index": "src/node/index.ts",
    },
    external: installed,
    plugins: [
      ...typescript(),
      afterwards(() => {
        for (const name of ["nbd-proxy", "nbd-gateway", "nbd-serve"]) chmodSync(`dist/bin/${name}.js`, 0o755);
        declareTypes("src/index.ts", "src/node/index.ts");
      }),
    ],
    output: {
      dir: "dist",
      format: "es",
      chunkFileNames: "node/chunks/[name]-[hash].js",
      banner: (chunk) => {
        if (!chunk.name.startsWith("bin/")) return "";
        return launcher({ "bin/nbd-gateway": gateway, "bin/nbd-proxy": proxy }[chunk.name]);
      },
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
      afterwards(() => {
        for (const file of ["index.html", "page.css", "icon.svg"]) cpSync(`web/${file}`, `dist/web/${file}`);
      }),
    ],
    output: { file: "dist/web/page.js", format: "es" },
  },
];

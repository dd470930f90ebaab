import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import terser from "@rollup/plugin-terser";
import { transform } from "esbuild";
import esbuild from "rollup-plugin-esbuild";

const target = "es2022";
const typescript = [nodeResolve(), esbuild({ target, loaders: { ".json": "json" } })];

/** Runs something once a build has been written; `files` are its input too, for those who watch for changes. */
const afterwards = (run, files = []) => ({
  name: "afterwards",
  buildStart() {
    for (const file of files) this.addWatchFile(file);
  },
  writeBundle: run,
});

/** A style sheet that a module imports, as text, and short. */
const styleAsText = {
  name: "style-as-text",
  async transform(text, id) {
    if (!id.endsWith(".css")) return null;
    const { code } = await transform(text, { loader: "css", minify: true, target });
    return { code: `export default ${JSON.stringify(code.trim())};`, map: null };
  },
};

/** What the page has besides its script. */
const pageFiles = [
  "index.html",
  "page.css",
  "icon.svg",
  "icons/busy.svg",
  "icons/good.svg",
  "icons/warning.svg",
  "icons/bad.svg",
];

/** Writes the type declarations of the library's entries and of what they name. */
function declareTypes(...entries) {
  const options =
    "--ignoreConfig --declaration --emitDeclarationOnly --outDir dist/types --rootDir . --strict --skipLibCheck " +
    "--target es2022 --module esnext --moduleResolution bundler --lib es2022,dom --types node --allowImportingTsExtensions";
  execFileSync("node_modules/.bin/tsc", [...options.split(" "), ...entries], { stdio: "inherit" });
}

/** What Node loads from node_modules stays there. */
const installed =
  /^(node:|ws$|ipaddr\.js$|mrmime$|valibot$|pino$|web-streams-polyfill$|koffi$|@noble\/|@peculiar\/)/;

/** Prints what each script for pages costs those who load it: its bytes, and those with gzip. */
const sizes = {
  name: "sizes",
  writeBundle({ file }, bundle) {
    for (const { code } of Object.values(bundle)) {
      const zipped = gzipSync(code, { level: 9 }).byteLength;
      process.stderr.write(`${file}: ${Buffer.byteLength(code)} bytes, ${zipped} with gzip\n`);
    }
  },
};

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

/** Makes what is sent to a page short. A script's top level is everybody's: its names stay. */
const short = (format) => terser({ module: format === "es", compress: { passes: 3 } });

/** The entries of the library; `dist/modules` and `package.json` name them likewise. */
const entries = [
  "src/index.ts",
  "src/fixtures.ts",
  "src/resume.ts",
  "src/nbd/protocol.ts",
  "src/streams/index.ts",
  "src/streams/polyfill.ts",
  "src/node/index.ts",
  "src/node/fixtures.ts",
];

/** The custom element, which a page imports, or a bundle. */
const element = "web/media/nbd-media.ts";

/** A class in one file, which a page's source takes in. */
const oneFile = "web/NBDServer.ts";

/** A script for pages without a bundler, which imports nothing. */
const script = (input, file, output, extra = []) => ({
  input,
  plugins: [...typescript, ...extra, sizes],
  // What a page may load later is in it from the beginning, unless it is external.
  output: { file, inlineDynamicImports: true, ...output },
});

/** What the classic script loads when it is to come back after a lost link. It lies beside it. */
const resuming = "src/resuming/serve-file-again.ts";
const resumingApart = {
  name: "resuming-apart",
  resolveId: (id) =>
    id.endsWith("/resuming/serve-file-again.ts") ? { id: "./resuming.js", external: true } : null,
};

/** What the element and its engine load for an image at an address. It lies beside them. */
const httpExport = "src/export/http.ts";
const httpExportApart = {
  name: "http-export-apart",
  resolveId: (id) => (id.endsWith("/export/http.ts") ? { id: "./http-export.js", external: true } : null),
};

export default [
  {
    input: {
      "nbd-proxy": "bin/nbd-proxy.ts",
      "nbd-gateway": "bin/nbd-gateway.ts",
      "nbd-serve": "bin/nbd-serve.ts",
    },
    external: installed,
    plugins: [
      ...typescript,
      afterwards(() => {
        mkdirSync("dist/bin", { recursive: true });
        writeFileSync("dist/bin/package.json", '{ "type": "commonjs" }\n');
        for (const name of ["nbd-proxy", "nbd-serve"]) writeLauncher(name);
        writeLauncher("nbd-gateway", manyThreads);
      }),
    ],
    // In few files, as a program is there sooner that way.
    output: { dir: "dist/programs", format: "es", chunkFileNames: "chunks/[name]-[hash].js" },
  },
  {
    input: entries,
    external: installed,
    plugins: [
      ...typescript,
      afterwards(() => declareTypes(...entries, element, oneFile, "web/media/style.d.ts")),
    ],
    // As package.json says: an import that nothing is used of goes.
    treeshake: { moduleSideEffects: (id) => id.endsWith("/polyfill.ts") },
    // A file for each module: what a page does not use costs its bundle nothing.
    output: { dir: "dist/modules", format: "es", preserveModules: true, preserveModulesRoot: "src" },
  },
  script("src/index.ts", "dist/browser/nbd-proxy.js", { format: "es" }),
  script(oneFile, "dist/browser/NBDServer.js", {
    format: "es",
    // It lies among the source of others, whose style is another one.
    banner: "/*! NBDServer of nbd-proxy. SPDX-License-Identifier: Apache-2.0 */\n/* eslint-disable */",
  }),
  {
    ...script("web/nbd.ts", "dist/web/js/nbd.js", { format: "iife", name: "NBDServer", exports: "default" }),
    plugins: [resumingApart, ...typescript, short("iife"), sizes],
  },
  script(resuming, "dist/web/js/resuming.js", { format: "es" }, [short("es")]),
  // The engine of the element lies beside it.
  {
    ...script("web/serving/worker.ts", "dist/web/js/serving-worker.js", { format: "es" }),
    plugins: [httpExportApart, ...typescript, short("es"), sizes],
  },
  script(httpExport, "dist/web/js/http-export.js", { format: "es" }, [short("es")]),
  script("src/streams/polyfill.ts", "dist/web/js/polyfill.js", { format: "iife" }, [short("iife")]),
  {
    ...script(element, "dist/web/js/nbd-media.js", { format: "es" }),
    plugins: [httpExportApart, ...typescript, styleAsText, short("es"), sizes],
  },
  script("web/page.ts", "dist/web/page.js", { format: "es" }, [
    short("es"),
    afterwards(
      () => {
        for (const file of pageFiles) cpSync(`web/${file}`, `dist/web/${file}`);
      },
      pageFiles.map((file) => `web/${file}`),
    ),
  ]),
];

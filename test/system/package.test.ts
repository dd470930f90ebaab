import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import * as assert from "uvu/assert";
import { root, Sandbox, suite } from "../harness.ts";
import { installPacked } from "../packed-package.ts";

const tests = suite("the packed package");

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
let sandbox: Sandbox;
let project: string;
let packed: string;

tests.before(async () => {
  sandbox = new Sandbox();
  ({ project, packed } = await installPacked(sandbox));
  cpSync(join(root, "test/examples"), join(project, "test/examples"), { recursive: true });
  cpSync(join(root, "fixtures"), join(project, "fixtures"), { recursive: true });
});
tests.after(() => sandbox?.end());

const node = (...args: string[]) => sandbox.run(process.execPath, args, { cwd: project });

tests("it has what is needed and nothing else", () => {
  const wanted = ["LICENSE", "README.md", "bin", "config.json", "dist", "fixtures", "package.json"];
  assert.equal(
    readdirSync(packed).sort(),
    wanted.filter((name) => existsSync(join(root, name))),
  );
  assert.equal(readdirSync(join(packed, "dist")).sort(), [
    "bin",
    "browser",
    "modules",
    "programs",
    "types",
    "web",
  ]);
  assert.equal(readdirSync(join(packed, "bin")).sort(), [
    "Caddyfile.example",
    "config.5.md",
    "nbd-gateway-device.conf",
    "nbd-gateway.1.md",
    "nbd-gateway.service",
    "nbd-gateway.socket",
    "nbd-proxy.1.md",
    "nbd-serve.1.md",
    "nginx.conf.example",
    "serve-events.schema.json",
    "status.schema.json",
  ]);
  const files = readdirSync(packed, { recursive: true, encoding: "utf8" });
  assert.equal(readdirSync(join(packed, "fixtures")).sort(), ["README.md", "clients", "servers"]);
  const odd = files.filter((file) => /(^|\/)test(\/|$)|\.test\.|(?<!\.d)\.ts$/.test(file));
  assert.equal(odd, []);
});

for (const name of ["nbd-proxy", "nbd-gateway", "nbd-serve"]) {
  tests(`${name} runs`, async () => {
    const output = await sandbox.run(join(project, "node_modules/.bin", name), ["--version"], {
      cwd: project,
    });
    assert.is(output, `${name} ${version}\n`);
  });
}

tests("nbd-proxy finds what it needs in node_modules", async () => {
  const config = join(packed, "config.json");
  const output = await sandbox.run(join(project, "node_modules/.bin/nbd-proxy"), [
    "--config",
    config,
    "--metadata",
  ]);
  assert.equal(Object.keys(JSON.parse(output)), ["0", "local"]);
});

tests("without koffi, which not every platform has, only the kernel device is absent", async () => {
  const koffi = join(project, "node_modules/koffi");
  renameSync(koffi, `${koffi}-away`);
  try {
    const config = join(packed, "config.json");
    const bin = join(project, "node_modules/.bin/nbd-proxy");
    await sandbox.run(bin, ["--config", config, "--metadata"]);
    const running = sandbox.start(bin, ["--config", config, "0"]);
    assert.is(await running.exit, 1);
    const reason = `the package koffi, for system calls, does not load on ${process.platform} ${process.arch}; see npm install`;
    assert.is(running.stderr, `nbd-proxy: ${config}: configuration "0": "nbd-device": ${reason}\n`);
  } finally {
    renameSync(`${koffi}-away`, koffi);
  }
});

tests("example: an export over a MessagePort, with a stream of one's own between two layers", async () => {
  assert.is(
    await node("test/examples/message-port.mjs"),
    'READ: 5 bytes at 4\n25 bytes, "bytes"\nDISC: 0 bytes at 0\n',
  );
});

tests("example: protocol code is tested offline from a fixture", async () => {
  const output = await node("--test", "test/examples/fixture.test.mjs");
  assert.match(output, /^# pass 3$/m);
  assert.match(output, /^# fail 0$/m);
});

/** The programs of the README: its blocks of code that are marked as such. */
const programs = [
  ...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```js program\n(.*?)^```$/gms),
].map(([, code]) => code!);
const printing = programs.filter((code) => code.includes("// prints "));

tests("each program of the README is run here", () => {
  assert.is(printing.length, 2);
  assert.equal(programs, printing);
});

for (const code of printing) {
  const expected = [...code.matchAll(/\/\/ prints (.*)$/gm)].map(([, line]) => `${line}\n`).join("");
  tests(`the README's program that prints ${expected.trim()}`, async () => {
    writeFileSync(join(project, "readme.mjs"), code);
    assert.is(await node("readme.mjs"), expected);
  });
}

tests("Node gets what needs Node, a browser what runs anywhere", async () => {
  const inNode = await node(
    "--input-type=module",
    "--eval",
    `import * as entry from "nbd-proxy"; console.log(import.meta.resolve("nbd-proxy"), typeof entry.nbdServer, typeof entry.stdioTransport)`,
  );
  assert.match(inNode, /nbd-proxy\/dist\/modules\/node\/index\.js function function\n$/);

  // A bundler for browsers fails where a Node module is named.
  writeFileSync(
    join(project, "page.mjs"),
    `import * as entry from "nbd-proxy"; console.log(typeof entry.nbdServer, typeof entry.stdioTransport)`,
  );
  const bundle = ["--bundle", "--platform=browser", "--format=esm", "--outfile=bundled.mjs", "page.mjs"];
  await sandbox.run(join(root, "node_modules/.bin/esbuild"), bundle, { cwd: project });
  assert.is(await node("bundled.mjs"), "function undefined\n");

  // One file has the class alone, for the source of another page.
  const oneFile = `import Default, { NBDServer } from "nbd-proxy/NBDServer.js"; console.log(typeof NBDServer, Default === NBDServer)`;
  assert.is(await node("--input-type=module", "--eval", oneFile), "function true\n");

  // One file serves pages without a bundler, where there are no bare specifiers.
  const code = readFileSync(join(packed, "dist/browser/nbd-proxy.js"), "utf8");
  assert.not.match(code, /^\s*import\b/m);
});

tests("what two entries have is the same thing, and each entry loads in Node and in a bundle", async () => {
  const source = `
    import * as entry from "nbd-proxy";
    import * as streams from "nbd-proxy/streams";
    import * as protocol from "nbd-proxy/protocol";
    import * as resuming from "nbd-proxy/resume";
    import * as fixtures from "nbd-proxy/fixtures";
    import "nbd-proxy/polyfill";
    const same = ["ByteBudget", "Ended", "join"].every((name) => entry[name] === streams[name]);
    const names = [entry.nbdServer, streams.push, protocol.requestParser, resuming.resume, fixtures.replay].map((value) => typeof value);
    console.log(same, entry.Errno === protocol.Errno, entry.GoneError === resuming.GoneError, names.join());`;
  const expected = "true true true function,function,function,function,function\n";
  writeFileSync(join(project, "entries.mjs"), source);
  assert.is(await node("entries.mjs"), expected);
  const bundle = ["--bundle", "--platform=browser", "--format=esm", "--outfile=bundled.mjs", "entries.mjs"];
  await sandbox.run(join(root, "node_modules/.bin/esbuild"), bundle, { cwd: project });
  assert.is(await node("bundled.mjs"), expected);
});

/** The bytes of a bundle for a page, minified and with gzip. */
async function bundled(source: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: project },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    logLevel: "silent",
    write: false,
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).byteLength;
}

const KIB = 1024;

tests("what is not used costs a bundle nothing", async () => {
  for (const entry of ["nbd-proxy", "nbd-proxy/streams"]) {
    const size = await bundled(`import { ByteBudget } from "${entry}"; console.log(ByteBudget);`);
    assert.ok(size < KIB, `ByteBudget of ${entry}: ${size} bytes`);
  }
  const whole = await bundled('import * as all from "nbd-proxy"; console.log(all);');
  assert.ok(whole > 10 * KIB, "the bundler found the package");
  const without = await bundled('import { Command } from "nbd-proxy/protocol"; console.log(Command.READ);');
  assert.ok(without < KIB, `Command: ${without} bytes`);
  const resuming = await bundled('import { resume } from "nbd-proxy/resume"; console.log(resume);');
  assert.ok(resuming > KIB && resuming < 6 * KIB, `resume: ${resuming} bytes`);
});

tests("the classic script is short, and the polyfill is in a file of its own", () => {
  const script = (name: string) => readFileSync(join(packed, "dist/web/js", name));
  const size = gzipSync(script("nbd.js"), { level: 9 }).byteLength;
  assert.ok(size < 20_000, `nbd.js: ${size} bytes`);
  const mark = /ReadableStreamBYOBRequest/;
  // What the classic script loads only for a page that comes back after a lost link, by a name that stands in it.
  const resuming = gzipSync(script("resuming.js"), { level: 9 }).byteLength;
  assert.ok(resuming < 8000, `resuming.js: ${resuming} bytes`);
  const serving = gzipSync(script("serving-worker.js"), { level: 9 }).byteLength;
  assert.ok(serving < 32_000, `serving-worker.js: ${serving} bytes`);
  // What the element and its engine load for an address only.
  const web = gzipSync(script("http-export.js"), { level: 9 }).byteLength;
  assert.ok(web < 10_000, `http-export.js: ${web} bytes`);
  assert.match(script("nbd.js").toString(), /import\((["'`])\.\/resuming\.js\1\)/);
  assert.match(script("polyfill.js").toString(), mark);
  assert.not.match(script("nbd.js").toString(), mark);
  for (const file of ["dist/web/page.js", "dist/web/js/serving-worker.js", "dist/browser/nbd-proxy.js"]) {
    assert.not.match(readFileSync(join(packed, file), "utf8"), mark, file);
  }
});

/** Bytes with gzip of all that the custom element loads. */
const ELEMENT = 60_000;

tests("the element is short, with all that it loads", () => {
  const files = ["nbd-media.js", "serving-worker.js"].map((name) =>
    readFileSync(join(packed, "dist/web/js", name)),
  );
  const sizes = files.map((file) => gzipSync(file, { level: 9 }).byteLength);
  const sum = sizes.reduce((all, size) => all + size, 0);
  assert.ok(sum < ELEMENT, `${sizes.join(" + ")} bytes`);
  // There is nothing else that they import, but what an old browser lacks, and an image at an address needs.
  const named = files.flatMap((file) => [...file.toString().matchAll(/["'`](\.\/[\w./-]+\.js)["'`]/g)]);
  assert.equal([...new Set(named.map(([, name]) => name))].sort(), [
    "./http-export.js",
    "./polyfill.js",
    "./serving-worker.js",
  ]);
});

const consumer = `
import {
  blobExport,
  connectExport,
  type Export,
  type Layer,
  memoryExport,
  messagePort,
  nbdClient,
  nbdServer,
  serve,
  type Transport,
} from "nbd-proxy";
import { Describer, parseConversation, replay, replayLayer } from "nbd-proxy/fixtures";
import "nbd-proxy/polyfill";
import { Command, type NbdRequest, requestParser } from "nbd-proxy/protocol";
import { type Opened, resume, type ResumedExport } from "nbd-proxy/resume";
import { ByteBudget, type Items, push } from "nbd-proxy/streams";

const target: Export = memoryExport(new Uint8Array(512));
const file: Export = blobExport(new Blob(["x"]));
const layer: Layer<Uint8Array, Uint8Array> = nbdServer(target);
const budget: { room: import("nbd-proxy").Room } = { room: new ByteBudget(1).share(1) };
export const items: Items<Uint8Array, NbdRequest> | undefined = undefined;
export const more = [Command.READ, push<number>(), new Describer(), serve, connectExport("ws://127.0.0.1/")];
export const port: Transport = messagePort(new MessageChannel().port1);
export const closing: PromiseLike<void> = memoryExport(new Uint8Array(1))[Symbol.asyncDispose]();
const requests: ReadableStream<NbdRequest[]> = new ReadableStream<Uint8Array>().pipeThrough(requestParser({}, budget));
export async function read(transport: Transport): Promise<number> {
  const remote = await nbdClient(transport, { timeout: 3 });
  await replayLayer(layer, parseConversation("C 00"), { as: "client", chunkSize: 1 });
  await replay([], { as: "server" }).done;
  return remote.size + file.size + (requests.locked ? 1 : 0);
}
export function lasting(first: Opened): ResumedExport {
  return resume(first, { open: async () => first, log: console.log });
}
// @ts-expect-error: a name is a string
nbdServer(target, { name: 1 });
`;

/** Type-checks a module that uses the package, declarations included. */
async function check(name: string, source: string, options: string[]) {
  const path = join(project, name);
  writeFileSync(path, source);
  const strict = ["--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", "false", "--target", "es2022"];
  const typeRoots = ["--typeRoots", join(root, "node_modules/@types")];
  await sandbox.run(join(root, "node_modules/.bin/tsc"), [...strict, ...typeRoots, ...options, path], {
    cwd: project,
  });
}

tests("the declarations are right in Node", async () => {
  const source = `${consumer}
import { connect, gateway, listen, socketTransport } from "nbd-proxy";
import { recordToFile } from "nbd-proxy/fixtures";
import * as net from "node:net";
export const size = read(socketTransport(net.connect("/tmp/socket")));
export const all = [connect("ws://127.0.0.1/"), gateway, recordToFile];
export async function use(): Promise<void> {
  await using listener = await listen(target, "unix:/tmp/socket");
  console.log(listener.address);
}
`;
  await check("in-node.ts", source, [
    ..."--module nodenext --moduleResolution nodenext --lib es2022,dom,esnext.disposable --types node".split(
      " ",
    ),
  ]);
});

tests("the declarations are right in a browser, without Node's types", async () => {
  const source = `${consumer}
// @ts-expect-error: it needs Node
import { socketTransport } from "nbd-proxy";
// @ts-expect-error: it needs Node
import { recordToFile } from "nbd-proxy/fixtures";
import { type MediaState, NbdMediaElement } from "nbd-proxy/nbd-media.js";
import OneFile, { NBDServer as named, type ReadProgress } from "nbd-proxy/NBDServer.js";
export const server: named = new OneFile("ws://127.0.0.1/", new Blob(["x"]), "slot 0", "token");
export const others = [new OneFile(new WebSocket("ws://127.0.0.1/"), new Blob([])), named(() => new WebSocket("ws://127.0.0.1/"), new Blob([]), { maxMessage: 64, onprogress: (progress: ReadProgress) => console.log(progress.bytesPerSecond) })];
server.socketClosed = (code: number) => console.log(code);
// @ts-expect-error: a token is a string
new OneFile("ws://127.0.0.1/", new Blob([]), "slot 0", 1);
const media: NbdMediaElement = document.createElement("nbd-media");
export const states: MediaState[] = [media.state];
media.addEventListener("nbd-state", ({ detail }) => states.push(detail));
media.startServing = NbdMediaElement.startServing;
`;
  await check("in-browser.ts", source, [
    ..."--module esnext --moduleResolution bundler --lib es2022,dom --types".split(" "),
    "",
  ]);
});

tests.run();

/** The rules that the repository keeps: who may import whom, what runs anywhere, what lies where. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "./harness.ts";

const tests = suite("rules");
const run = promisify(execFile);

/** The files that are, or are about to be, in the repository. */
async function files(...paths: string[]): Promise<string[]> {
  const options = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", ...paths];
  const [{ stdout: all }, { stdout: deleted }] = await Promise.all([
    run("git", options, { cwd: root }),
    run("git", ["ls-files", "--deleted"], { cwd: root }),
  ]);
  const gone = new Set(deleted.split("\n"));
  return all.split("\n").filter((path) => path && !gone.has(path));
}

/** What a source file imports, types too: module names, and paths of files of the repository. */
function imports(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  const names = [...text.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*["']([^"']+)["']/g)];
  return names.map(([, name]) => (name!.startsWith(".") ? normalize(join(dirname(path), name!)) : name!));
}

/** What the files of a part of src/ may import, besides their own part; true: every part. */
const allowed: Readonly<Record<string, readonly string[] | true>> = {
  streams: [],
  export: ["streams"],
  "export/http": ["export", "streams", "transport", "resuming"],
  nbd: ["export", "streams"],
  transport: ["streams"],
  node: true,
  "serve.ts": ["export", "nbd", "streams"],
  resuming: ["export", "nbd", "streams", "transport", "serve.ts"],
  "serve-medium.ts": ["export", "streams", "transport", "serve.ts", "resuming"],
  "serve-blob.ts": ["export", "serve-medium.ts", "resuming"],
  "NBDServer.ts": ["export", "streams", "transport", "serve-blob.ts", "serve-medium.ts", "resuming"],
  "connect-export.ts": ["nbd", "streams", "transport"],
  "fixtures.ts": ["nbd", "transport"],
  "resume.ts": ["export"],
  "index.ts": [
    "export",
    "export/http",
    "nbd",
    "streams",
    "transport",
    "resuming",
    "serve.ts",
    "NBDServer.ts",
    "connect-export.ts",
  ],
};
/** `httpExport` and what is beside it stand above the rest of src/export: a failing server is tried again as a lost link is. */
const partOf = (path: string) => (/^src\/export\/http[./]/.test(path) ? "export/http" : path.split("/")[1]!);

tests("each part of src imports only those below it", async () => {
  const sources = (await files("src")).filter((path) => path.endsWith(".ts"));
  assert.ok(sources.length > 40, "the sources were found");
  for (const path of sources) {
    const below = allowed[partOf(path)];
    assert.ok(below, `${path}: no rule says what it may import`);
    for (const name of imports(path)) {
      if (!name.startsWith("src/") || below === true || partOf(name) === partOf(path)) continue;
      assert.ok(below!.includes(partOf(name)), `${path} imports ${name}`);
    }
  }
});

/** Timers that wait for this machine, or look at something every so often. Whoever judges a peer does it with deadline(). */
const timers = [
  "src/export/filters/read-meter.ts",
  "src/export/filters/watch-reads.ts",
  "src/node/before.ts",
  "src/node/gateway/heartbeat.ts", // deals with stops itself
  "src/node/gateway/limited-log.ts",
  "src/node/gateway/status/events.ts",
  "src/node/gateway/tls/certificate-files.ts",
  "src/node/gateway/tls/self-signed.ts",
  "src/node/grouped-process.ts",
  "src/node/hang-up.ts",
  "src/node/kernel/device-claim.ts",
  "src/node/kernel/device-node.ts",
  "src/node/kernel/kernel-device.ts",
  "src/node/lock.ts",
  "src/node/login/login-sessions.ts",
  "src/node/process-memory.ts",
  "src/node/resuming/own-writes.ts",
  "src/node/session/held-socket.ts",
  "src/node/session/sign-of-life.ts",
  "src/node/session/watch-link.ts",
  "src/node/systemd/notify-socket.ts",
  "src/node/systemd/watchdog.ts",
  "src/resuming/clock.ts",
  "src/streams/deadline.ts",
  "src/transport/websocket.ts",
];

tests(
  "what a peer is given time for is judged by deadline(), which a stop of this process does not mislead",
  async () => {
    const using: string[] = [];
    for (const path of await files("src")) {
      const text = readFileSync(join(root, path), "utf8");
      if (/\b(setTimeout|setInterval|AbortSignal\.timeout)\(|\bhandshakeTimeout\b/.test(text))
        using.push(path);
    }
    assert.equal(using.sort(), timers);
  },
);

tests("nothing outside of src/node names what only Node has", async () => {
  for (const path of await files("src")) {
    if (path.startsWith("src/node/")) continue;
    for (const name of imports(path)) {
      assert.not.ok(/^(node:|(ws|koffi|mrmime|ipaddr\.js)$)/.test(name), `${path} imports ${name}`);
    }
  }
});

tests("src outside of src/node type-checks with the DOM's types and without Node's", async () => {
  const sources = (await files("src")).filter((path) => /\.ts$/.test(path) && !path.startsWith("src/node/"));
  // The project's own options, but for the types.
  const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
  const { types: _types, lib: _lib, rootDir: _rootDir, ...options } = compilerOptions;
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const tsc = join(root, "node_modules/.bin/tsc");
  const check = (extra: readonly string[]) =>
    run(tsc, ["--ignoreConfig", "--lib", "es2022,dom", "--types", "", ...flags, ...extra], { cwd: root });
  await check(sources).catch(({ stdout }) => assert.unreachable(stdout));
  // The check must be able to fail: a file that needs Node does not pass.
  const failed = await check(["src/node/file.ts"]).then(
    () => false,
    () => true,
  );
  assert.ok(failed, "Node's types are there all the same");
});

tests("every test file runs its tests", async () => {
  const testFiles = (await files("test")).filter((path) => path.endsWith(".test.ts"));
  assert.ok(testFiles.includes("test/rules.test.ts"));
  for (const path of testFiles) {
    const text = readFileSync(join(root, path), "utf8");
    const suites = text.match(/^\s*const \w+ = (?:suite|eachWay|flows|urlFlows)\b/gm)?.length ?? 0;
    const runs = text.match(/^\s*\w+\.run\(\);$/gm)?.length ?? 0;
    assert.ok(suites > 0, `${path} has no suite`);
    assert.is(runs, suites, `${path} runs ${runs} of ${suites} suites`);
  }
});

tests("the top level holds what was agreed, and dotfiles", async () => {
  const agreed = new Set([
    "LICENSE",
    "README.md",
    "bin",
    "config.json",
    "fixtures",
    "package-lock.json",
    "package.json",
    "rollup.config.mjs",
    "src",
    "test",
    "tsconfig.json",
    "web",
  ]);
  // What is not tracked may be anybody's: a disk image, a mount point.
  const { stdout } = await run("git", ["ls-files"], { cwd: root });
  const top = new Set(
    stdout
      .trimEnd()
      .split("\n")
      .map((path) => path.split("/")[0]!),
  );
  assert.equal(
    [...top].filter((name) => !name.startsWith(".") && !agreed.has(name)),
    [],
  );
});

tests.run();

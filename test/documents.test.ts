/** What the documents name exists: links, anchors, paths, options and keys. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { knownKeys } from "../src/node/config/schema.ts";
import { root } from "./harness.ts";

const tests = suite("documents");

const lines = (text: string) => text.split("\n").filter((line) => line !== "");
const git = (...args: string[]) =>
  lines(execFileSync("git", ["ls-files", ...args], { cwd: root, encoding: "utf8" }));
/** The files that are, or are about to be, in the repository. */
const files = git("--cached", "--others", "--exclude-standard", "--deduplicate").filter((path) =>
  existsSync(join(root, path)),
);
const documents = files.filter((path) => path.endsWith(".md"));
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The anchors of a document, as GitHub makes them of its headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replace(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** The relative links of a document that lead nowhere. */
function faultsOfLinks(path: string, text: string): string[] {
  const faults: string[] = [];
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [file, anchor] = target!.split("#") as [string, string | undefined];
    const wanted = file === "" ? path : normalize(join(dirname(path), file));
    if (!existsSync(join(root, wanted))) faults.push(`${path}: ${target} does not exist`);
    else if (anchor !== undefined && !anchorsOf(read(wanted)).has(anchor)) {
      faults.push(`${path}: ${target} is not a heading there`);
    }
  }
  return faults;
}

/** Paths from the top of the repository, and names of source files, which are looked for from the document's folder too. */
const PATHS = /(?<![\w/.*-])(?:src|test|bin|web|fixtures|\.ci|\.github)\/[\w./-]*\w/g;
const NAMES = /`((?:\.\.\/)*[\w/-]+(?:\.[\w-]+)*\.(?:ts|mjs|py|md|svg))`/g;

function faultsOfPaths(path: string, text: string): string[] {
  const bare = text.replace(/\]\([^)\s]+\)/g, "]");
  // NAME stands for any name: the folder has to be there. Tests and sources may be named without their endings.
  const isThere = (named: string) => {
    const name = named.replace(/\/NAME\.ts$/, "");
    return [name, join(dirname(path), name)].some(
      (from) => existsSync(join(root, from)) || files.some((file) => file.startsWith(`${from}.`)),
    );
  };
  const named = [...bare.matchAll(PATHS)].map(([name]) => name).filter((name) => !isThere(name));
  const sources = [...bare.matchAll(NAMES)]
    .map(([, name]) => name!)
    .filter((name) => !isThere(name) && !files.some((file) => file.endsWith(`/${name}`)));
  return [...named, ...sources].map((name) => `${path}: ${name} does not exist`);
}

tests("every relative link, anchor and path in a document exists", () => {
  assert.ok(documents.includes("README.md") && documents.includes(".github/SECURITY.md"), "they were found");
  const faults = documents.flatMap((path) => {
    const text = read(path);
    return [...faultsOfLinks(path, text), ...faultsOfPaths(path, text)];
  });
  assert.equal(faults, []);
});

tests("every section of a document that a comment names exists", () => {
  const sources = files.filter(
    (path) => /^(src|bin|web|test)\/.*\.(ts|mjs)$/.test(path) && path !== "test/documents.test.ts",
  );
  const named = sources.flatMap((path) =>
    // A comment may break between the two.
    [
      ...read(path)
        .replace(/\n\s*(\*|\/\/) /g, " ")
        .matchAll(/\b([\w/.-]+\.md), "([^"]+)"/g),
    ].flatMap(([, document, section]) => {
      if (document === "proto.md") return []; // NBD's own
      const isThere = existsSync(join(root, document!)) && read(document!).includes(`# ${section}\n`);
      return isThere ? [] : [`${path}: ${document}, "${section}" does not exist`];
    }),
  );
  assert.equal(named, []);
});

tests("the check finds what does not exist", () => {
  const text =
    "[a](no-such.md) [b](README.md#no-such-heading) `test/no-such` [c](README.md#run) `no-such.ts` `test/rules`";
  assert.equal(faultsOfLinks("README.md", text).length, 2);
  assert.equal(faultsOfPaths("README.md", text), [
    "README.md: test/no-such does not exist",
    "README.md: no-such.ts does not exist",
  ]);
});

/** Blocks of code that name the file whose text they are. */
const quotes = documents.flatMap((path) =>
  [...read(path).matchAll(/^```\w+ (\S+\/\S+)\n(.*?)^```$/gms)].map(([, file, text]) => ({
    path,
    file: file!,
    text: text!,
  })),
);

tests("what a document quotes of a file is the whole text of the file", () => {
  for (const { path, file, text } of quotes) assert.is(text, read(file), `${path} quotes ${file}`);
});

tests("the console of others is quoted, once", () => {
  assert.equal(quotes.map(({ file }) => file).sort(), [
    "test/examples/console/module.js",
    "test/examples/console/server.mjs",
  ]);
});

tests("its page is the same with the classic script, which it does not import", () => {
  const text = (name: string) => read(`test/examples/console/${name}`);
  const [, script] = /^import [^\n]*\n\n(.*)$/s.exec(text("module.js"))!;
  assert.is(text("classic.js").replace(/^\/\/.*\n/, ""), script);
  const classic = /<script src="nbd\.js" defer><\/script>\n *<script src="classic\.js" defer>/;
  assert.is(
    text("classic.html").replace(classic, '<script type="module" src="module.js">'),
    text("page.html"),
  );
});

tests("the README is read in three minutes", () => {
  assert.ok(read("README.md").split("\n").length <= 180);
});

for (const name of ["nbd-gateway", "nbd-proxy", "nbd-serve"]) {
  tests(`the manual of ${name} has the options of its help, and no others`, () => {
    const options = (text: string) => [...new Set(text.match(/(?<![\w-])--[a-z]+/g))].sort();
    const help = /help: `(.*?)`/s.exec(read(`bin/${name}.ts`))![1]!;
    const manual = read(`bin/${name}.1.md`);
    const section = manual.slice(manual.indexOf("## Options"), manual.indexOf("## Exit status"));
    const synopsis = manual.slice(manual.indexOf("## Synopsis"), manual.indexOf("## Description"));
    const offered = options(help).filter((option) => !/^--(sameorigin)$/.test(option));
    const told = options(section).filter((option) => !/^--(sameorigin)$/.test(option));
    assert.equal(told, offered);
    assert.equal(
      options(synopsis),
      offered.filter((option) => !/^--(help|version)$/.test(option)),
    );
  });
}

tests("the manual of config.json has its keys, and no others", () => {
  const section = read("bin/config.5.md")
    .split("\n## ")
    .find((text) => text.startsWith("Keys"))!;
  const rows = [...section.matchAll(/^\| `([a-z-]+)` \| (top|configuration|both) \|/gm)];
  const keysOf = (...places: string[]) =>
    rows.filter(([, , place]) => places.includes(place!)).map(([, key]) => key!);
  assert.equal(keysOf("top", "both").sort(), [...knownKeys.top].sort());
  assert.equal(keysOf("configuration", "both").sort(), [...knownKeys.configuration].sort());
});

tests.run();

/** The table "What is spoken" of fixtures/README.md is true: the recordings and tests it names exist, and the recordings say the words. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "./harness.ts";
import { readFixtures } from "./nbd/recordings.ts";

const tests = suite("what is spoken");

const section = readFileSync(join(root, "fixtures/README.md"), "utf8")
  .split("\n## ")
  .find((text) => text.startsWith("What is spoken"))!;
const cellsOf = (line: string) => line.split("|").slice(1, -1);
const marked = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
const rows = section
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .slice(2)
  .map((line) => cellsOf(line).map(marked));

/** The tests with live peers, without what their names end with. */
const systemTests = new Set(readdirSync(join(root, "test/system")).map((name) => name.split(".")[0]));

/** What the comments of each recording say. */
const comments = new Map(
  (["clients", "servers"] as const).flatMap((folder) =>
    readFixtures(folder).map(({ name, conversation }) => [
      `${folder}/${name}`,
      conversation.flatMap(({ comment }) => comment ?? []),
    ]),
  ),
);

const says = (fixture: string, word: string) =>
  comments.get(fixture)!.some((comment) => new RegExp(`(^|[^A-Z_])${word}($|[^A-Z_])`).test(comment));

for (const [words = [], clients = [], servers = [], files = []] of rows) {
  tests(`${words.join(", ")}: the recordings have it, and the tests are there`, () => {
    assert.ok(words.length > 0 && clients.length + servers.length > 0);
    for (const [folder, names] of Object.entries({ clients, servers })) {
      const fixtures = names.map((name) => `${folder}/${name}`);
      for (const fixture of fixtures) {
        assert.ok(comments.has(fixture), `${fixture} is not a recording`);
        assert.ok(
          words.some((word) => says(fixture, word)),
          `${fixture} says none of it`,
        );
      }
      if (fixtures.length === 0) continue;
      for (const word of words) {
        assert.ok(
          fixtures.some((fixture) => says(fixture, word)),
          `${word} is in none of ${fixtures.join(", ")}`,
        );
      }
    }
    for (const file of files) assert.ok(systemTests.has(file), `there is no test/system/${file}`);
  });
}

tests("every recording is in the table", () => {
  const named = new Set(
    rows.flatMap(([, clients = [], servers = []]) => [
      ...clients.map((name) => `clients/${name}`),
      ...servers.map((name) => `servers/${name}`),
    ]),
  );
  assert.equal(
    [...comments.keys()].filter((name) => !named.has(name)),
    [],
  );
});

tests.run();

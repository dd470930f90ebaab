import * as dns from "node:dns";
import { readFileSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { getSystemErrorMap, getSystemErrorName } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hasErrno, SystemCallError } from "../../src/node/system-call-error.ts";
import { failure } from "../bytes.ts";
import { root } from "../harness.ts";

const tests = suite("errors of system calls");

tests("an errno is known by its number, whatever name Node has for it", () => {
  const { EOPNOTSUPP, EDQUOT } = constants.errno;
  for (const [name, number] of Object.entries({ EOPNOTSUPP, EDQUOT })) {
    const error = new SystemCallError("fallocate", number);
    assert.is(error.errno, -number);
    assert.ok(hasErrno(error, "ENOSYS", name as "EDQUOT"));
    assert.not.ok(hasErrno(error, "ENOSYS", "EINVAL"));
  }
});

tests("an error of Node's own, one with a name only, and what is none of a system call", async () => {
  const missing = await failure(open("/no/such/file"));
  assert.ok(hasErrno(missing, "ENOENT"));
  assert.not.ok(hasErrno(missing, "EACCES"));
  assert.ok(hasErrno(Object.assign(new Error("no"), { code: "ENOSPC" }), "EDQUOT", "ENOSPC"));
  assert.not.ok(hasErrno(new Error("no"), "ENOENT"));
});

/** All sources whose errors may be the system's, with their text. */
async function* sources(): AsyncGenerator<[path: string, text: string]> {
  for (const folder of ["src/node", "bin"]) {
    for (const path of await readdir(join(root, folder), { recursive: true })) {
      if (path.endsWith(".ts")) yield [path, readFileSync(join(root, folder, path), "utf8")];
    }
  }
}

tests("each name of an errno in the code is one that this system, and Node, give", async () => {
  const given = new Set([...getSystemErrorMap().values()].map(([name]) => name));
  const ofResolver = new Set<unknown>(Object.values(dns).filter((value) => typeof value === "string"));
  const byNumber = /\bhasErrno\([^)]*\)/g;
  let found = 0;
  for await (const [path, text] of sources()) {
    const names = (of: string) =>
      [...of.matchAll(/"(E[A-Z0-9]{2,})"|^\s*(E[A-Z0-9]{2,}):/gm)].map(([, a, b]) => a ?? b!);
    for (const call of text.match(byNumber) ?? []) {
      for (const name of names(call)) {
        found++;
        const number = constants.errno[name as keyof typeof constants.errno];
        assert.type(number, "number", `${path}: ${name} is no errno of this system`);
      }
    }
    for (const name of names(text.replace(byNumber, ""))) {
      found++;
      // Of no system call: what the resolver says of a name.
      if (!given.has(name) && ofResolver.has(name)) continue;
      assert.ok(given.has(name), `${path}: Node never says ${name}: compare it with hasErrno`);
      const number = constants.errno[name as keyof typeof constants.errno];
      assert.is(getSystemErrorName(-number), name, path);
    }
  }
  assert.ok(found > 20, "the names were found");
});

tests.run();

/** What nbdinfo asks of an export, question by question. */
import * as assert from "uvu/assert";
import { type Sandbox, within } from "../harness.ts";

/** Each capability that `nbdinfo --can` knows; "can write" is asked of every export. */
export const CAPABILITIES = [
  ...["connect", "read", "write", "df", "multi-conn", "flush", "fua", "trim", "zero", "fast-zero", "cache"],
] as const;

/** What an export of ours can do that is read-only, and one that is not. */
export const READING: readonly string[] = ["connect", "read", "df", "multi-conn"];
export const WRITING: readonly string[] = CAPABILITIES.filter((name) => name !== "cache");

/** A session for each question, where a server is one session only. */
type Where = () => Promise<readonly string[]> | readonly string[];

/** Asks `nbdinfo --can` for each capability, and whether it is read-only. Exit status 2 is a no. */
export async function expectCan(sandbox: Sandbox, where: Where, expected: readonly string[]): Promise<void> {
  const ask = async (...question: string[]) => {
    const nbdinfo = sandbox.start("nbdinfo", [...question, ...(await where())]);
    const status = await within(60_000, "nbdinfo", nbdinfo.exit);
    assert.ok(status === 0 || status === 2, `nbdinfo ${question.join(" ")}: ${status} ${nbdinfo.stderr}`);
    return status === 0;
  };
  const found: string[] = [];
  for (const name of CAPABILITIES) if (await ask("--can", name)) found.push(name);
  assert.equal(found, [...expected]);
  assert.is(await ask("--is", "read-only"), !expected.includes("write"));
}

/** Asks `nbdinfo --map` for the extents: offset, length, type. */
export async function mapOf(sandbox: Sandbox, where: Where): Promise<[number, number, number][]> {
  const output = await sandbox.run("nbdinfo", ["--map", "--json", ...(await where())]);
  const extents = JSON.parse(output) as { offset: number; length: number; type: number }[];
  return extents.map(({ offset, length, type }) => [offset, length, type]);
}

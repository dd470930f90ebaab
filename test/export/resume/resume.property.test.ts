/**
 * Random histories of a disk whose links are cut and whose server crashes, against a memory model. Which ones is told where one
 * fails: `RESUME_SEED=SEED` begins there, and `RESUME_RUNS=NUMBER` says how many.
 */
import * as assert from "uvu/assert";
import type { Parts } from "../../../src/export/resume/resume.ts";
import { failure } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { runHistory, type Variant } from "./run-history.ts";

const tests = suite("resume, random histories");
const RUNS = Number(process.env.RESUME_RUNS ?? 500);
const SEED = Number(process.env.RESUME_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** The first history that goes wrong, if one does. */
async function firstFault(variant?: Variant): Promise<string | undefined> {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const fault = await runHistory(seed, variant).then(
      () => undefined,
      (error: Error) => error,
    );
    if (fault) return `RESUME_SEED=${seed}: ${fault.stack}`;
  }
  return undefined;
}

tests(
  "cuts, crashes, lost answers, requests that overtake each other: never a byte that is wrong",
  async () => {
    assert.is(await firstFault(), undefined);
  },
);

/** The same changes, but for some methods. */
const changed = (
  unflushed: Parts["unflushed"],
  methods: Partial<Parts["unflushed"]>,
): Parts["unflushed"] => ({
  get moment() {
    return unflushed.moment;
  },
  add: (change) => unflushed.add(change),
  flushed: (moment) => unflushed.flushed(moment),
  has: (start, end) => unflushed.has(start, end),
  all: () => unflushed.all(),
  giveUp: () => unflushed.giveUp(),
  ...methods,
});

const none = { wait: undefined };
const variants: Record<string, Variant> = {
  "without a fence": { isFenced: false },
  "without an order of changes": {
    parts: ({ order }) => ({
      order: { has: () => false, fail: (reason) => order.fail(reason), enter: () => none, leave: () => {} },
    }),
  },
  "without sending again what may be lost": {
    parts: ({ unflushed }) => ({ unflushed: changed(unflushed, { all: () => [] }) }),
  },
  "when a change with FUA does not take out what is older": {
    parts: ({ unflushed }) => ({
      unflushed: changed(unflushed, {
        add: (change) => change.options?.fua === true || unflushed.add(change),
      }),
    }),
  },
  "when a flush counts for what was acknowledged while it was under way": {
    parts: ({ unflushed }) => ({
      unflushed: changed(unflushed, { flushed: () => unflushed.flushed(unflushed.moment) }),
    }),
  },
};

for (const [what, variant] of Object.entries(variants)) {
  tests(`${what} it goes wrong, and this test sees it`, async () => {
    assert.match((await firstFault(variant)) ?? "nothing", /: Error: at \d+ ms, /);
  });
}

tests("a history is the same for the same seed", async () => {
  const variant = variants["without an order of changes"]!;
  const found = (await firstFault(variant))!.match(/RESUME_SEED=(\d+): Error: (.*)/)!;
  const again = await failure(runHistory(Number(found[1]), variant));
  assert.is(again.message.split("\n")[0], found[2]);
});

tests.run();

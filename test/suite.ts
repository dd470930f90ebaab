/** A suite of uvu that says more when a test fails. */
import { type Callback, suite as plainSuite, type Test } from "uvu";
import { describePrograms, forgetEnded } from "./programs.ts";

/**
 * As uvu's suite(). Behind a failure stands what the test's programs wrote; and a failure in `before`, of which uvu says
 * nothing, is told.
 */
export function suite<T = Record<string, unknown>>(name = "", context?: T): Test<T> {
  const tests = plainSuite<T>(name, context);
  const { before, after } = tests;
  const add: typeof tests.only = (what, test) => tests(what, telling(test));
  const only: typeof tests.only = (what, test) => tests.only(what, telling(test));
  const hooks = {
    before: Object.assign((hook: Callback<T>) => before(announcing(name, telling(hook))), {
      each: (hook: Callback<T>) => before.each(telling(hook)),
    }),
    after: Object.assign((hook: Callback<T>) => after(hook), {
      each: (hook: Callback<T>) => after.each(forgetting(hook)),
    }),
  };
  return Object.assign(add, { only, ...hooks, skip: tests.skip, run: tests.run });
}

/** Adds what the programs wrote to the end of an error's stack, which uvu prints behind what was expected and seen. */
const telling =
  <T>(run: Callback<T>): Callback<T> =>
  async (context) => {
    try {
      await run(context);
    } catch (error) {
      const words = describePrograms();
      if (error instanceof Error && words !== "") error.stack += `\n${words}`;
      throw error;
    }
  };

/** The test is over: its programs are no matter of the next one. */
const forgetting =
  <T>(hook: Callback<T>): Callback<T> =>
  async (context) => {
    await hook(context);
    forgetEnded();
  };

const announcing =
  <T>(name: string, hook: Callback<T>): Callback<T> =>
  async (context) => {
    try {
      await hook(context);
    } catch (error) {
      const words = error instanceof Error ? error.stack : String(error);
      process.stderr.write(`\n${name}: what comes before all tests has failed: ${words}\n`);
      throw error;
    }
  };

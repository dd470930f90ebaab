/** Suites that run twice: at a gateway that lets everybody in, and at one that asks for a login. */
import type { Callback, Test } from "uvu";
import { suite } from "../harness.ts";

export interface Way {
  /** Whether the gateway is to ask for a login. */
  hasLogin: boolean;
}

export interface EachWay<T extends Way> extends Test<T> {
  /** Adds a test that runs once, without a login, as it makes no difference there. */
  once(name: string, test: Callback<T>): void;
}

/** As `suite()`: each test and each hook runs in both, and finds in its context in which. */
export function eachWay<T extends Way>(name: string): EachWay<T> {
  const open = suite<T>(name, { hasLogin: false } as T);
  const closed = suite<T>(`${name}, with a login`, { hasLogin: true } as T);
  const both =
    <A extends unknown[]>(pick: (tests: Test<T>) => (...args: A) => void) =>
    (...args: A) => {
      for (const tests of [open, closed]) pick(tests)(...args);
    };
  const hook = (which: "before" | "after") =>
    Object.assign(
      both((tests) => tests[which]),
      { each: both((tests) => tests[which].each) },
    );
  return Object.assign(
    both((tests) => tests),
    {
      only: both((tests) => tests.only),
      skip: both((tests) => tests.skip),
      before: hook("before"),
      after: hook("after"),
      run: both((tests) => tests.run),
      once: open,
    },
  );
}

import type { Log } from "../../src/node/log/log.ts";
import type { Course } from "./course.ts";
import { EJECTING } from "./live-line.ts";
import type { Witness } from "./witness.ts";

/** Tells the course in lines, to somebody who looks on. */
export function plain(log: Log, course: Course): Witness {
  return {
    line: log,
    changed() {
      if (course.state === "ejecting") log(EJECTING);
    },
    ended(how) {
      const summary = course.summary(how);
      if (summary !== undefined) log(summary);
    },
  };
}

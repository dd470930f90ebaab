/** Deadlines of tests, and how long a busy machine is waited for. */
import { cpus } from "node:os";

/** How many times longer a deadline may last on a machine that is always busy, and how many milliseconds longer at most. */
const BUSY = 10;
const MOST = 60_000;

/** Milliseconds that this machine's processors have had nothing to do, all of them together. */
const idle = () => cpus().reduce((sum, { times }) => sum + times.idle, 0);

/**
 * Milliseconds that something is given. Only time counts in which a processor was free, as only then it would have gone
 * on; but a busy machine is not waited for without end. So a verdict does not depend on what else the machine does.
 */
class Deadline {
  readonly #milliseconds: number;
  readonly #began = performance.now();
  readonly #idle = idle();

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Milliseconds that are left at least; 0: the deadline has passed. */
  get left(): number {
    const passed = performance.now() - this.#began;
    if (passed < this.#milliseconds) return this.#milliseconds - passed;
    const counted = Math.max(idle() - this.#idle, passed / BUSY, passed - MOST);
    return Math.max(0, this.#milliseconds - counted);
  }
}

/** Fails when a promise has not settled after so many milliseconds of a machine that is not busy. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  const deadline = new Deadline(milliseconds);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const look = () => {
      const { left } = deadline;
      if (left === 0) reject(new Error(`${what} took more than ${milliseconds} ms`));
      else timer = setTimeout(look, left);
    };
    look();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a condition holds, looking every 10 ms; fails after so many milliseconds of a machine that is not busy. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  milliseconds = 10_000,
) {
  const deadline = new Deadline(milliseconds);
  while (!(await condition())) {
    if (deadline.left === 0) throw new Error(`${what}: not after ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

import type { EventEmitter } from "node:events";

/**
 * Gives what a listener throws to `onFault`, and an "error" event that nobody listens to: either would end the process
 * and everything else in it. Listeners behind the one that throws are not called.
 *
 * @param onFault is given the error, the event's name and its arguments; must not throw
 */
export function guard(
  emitter: EventEmitter,
  onFault: (error: unknown, event: string | symbol, args: readonly unknown[]) => void,
): void {
  const emit = emitter.emit.bind(emitter);
  emitter.emit = (event: string | symbol, ...args: unknown[]) => {
    try {
      return emit(event, ...args);
    } catch (error) {
      onFault(error, event, args);
      return true;
    }
  };
}

/** A log whose own failure is no reason to fail. */
export function unfailing(log: (line: string) => void): (line: string) => void {
  return (line) => {
    try {
      log(line);
    } catch {
      // There is nobody to tell.
    }
  };
}

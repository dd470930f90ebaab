import type { EventEmitter } from "node:events";
import { type LogRecord, type LogTarget, recorder } from "../log/log.ts";

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
export function unfailing(target: LogTarget): LogTarget {
  const write = recorder(target);
  const record = (one: LogRecord) => {
    try {
      write(one);
    } catch {
      // There is nobody to tell.
    }
  };
  return { record };
}

/**
 * Checks of arguments, at the border of the library. Each throws a TypeError if the value is of the wrong kind and a
 * RangeError if it is out of range. The message says what was expected and what came.
 */
import type { Duplex, Transport } from "./duplex.ts";

/** The longest time of a timer, in milliseconds: Node runs a timer with a longer one at once. */
export const LONGEST_TIMER = 0x7fffffff;

/** A value in an error message: the value itself if it is short, else its kind. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const name: unknown = Array.isArray(value) ? "Array" : value.constructor?.name;
  if (typeof name !== "string" || name === "" || name === "Object") return "an object";
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** Checks a whole number from `least` to `most`, which are safe integers. */
export function checkWhole(value: unknown, what: string, least = 0, most = Number.MAX_SAFE_INTEGER): void {
  checkType(value, what, "number");
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    const limit = most === Number.MAX_SAFE_INTEGER ? "2^53 - 1" : most;
    throw new RangeError(`${what} must be a whole number from ${least} to ${limit}, not ${String(value)}`);
  }
}

/** Checks a number from `least` to `most` that need not be whole; Infinity means no limit. */
export function checkAmount(value: unknown, what: string, least = 0, most = Number.POSITIVE_INFINITY): void {
  checkType(value, what, "number");
  if (!((value as number) >= least && (value as number) <= most)) {
    const limits = most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`;
    throw new RangeError(`${what} must be ${limits}, not ${String(value)}`);
  }
}

export function checkType(value: unknown, what: string, type: "number" | "string" | "function"): void {
  if (typeof value !== type) throw new TypeError(`${what} must be a ${type}, not ${shown(value)}`);
}

export function checkObject(value: unknown, what: string): asserts value is object {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`${what} must be an object, not ${shown(value)}`);
  }
}

/** Checks that a value is an object with these methods. */
export function checkMethods(value: unknown, what: string, kind: string, methods: readonly string[]): void {
  if (hasMethods(value, methods)) return;
  throw new TypeError(`${what} must be ${kind}, not ${shown(value)}`);
}

export function checkBytes(value: unknown, what: string): void {
  if (!(value instanceof Uint8Array))
    throw new TypeError(`${what} must be a Uint8Array, not ${shown(value)}`);
}

export function checkSignal(value: unknown, what: string): void {
  if (value === undefined) return;
  checkMethods(value, what, "an AbortSignal", ["addEventListener", "throwIfAborted"]);
}

/** Checks that a value has both halves of a channel. */
export function checkDuplex(value: unknown, what: string): void {
  if (isDuplex(value)) return;
  throw new TypeError(`${what} must be an object with a readable and a writable stream, not ${shown(value)}`);
}

/** Checks a transport. If it is wrong it is left as it is: it stays the caller's. */
export function checkTransport(value: unknown, what: string): void {
  if (isDuplex(value) && hasMethods(value, ["close"])) return;
  throw new TypeError(
    `${what} must be a transport, with a readable and a writable stream and close(), not ${shown(value)}; webSocket(), and in Node socketTransport(), make one`,
  );
}

/** Checks a transport that the callee owns. If it is wrong it is destroyed or closed, as far as it can be. */
export function checkOwnTransport(value: unknown, what: string): asserts value is Transport {
  try {
    checkTransport(value, what);
  } catch (error) {
    end(value);
    throw error;
  }
}

/** Ends a socket that was passed by mistake: one that nobody ends would keep its process alive. */
function end(value: unknown): void {
  const [method] = ["destroy", "close"].filter((name) => hasMethods(value, [name]));
  try {
    if (method) (value as Record<string, () => void>)[method]!();
  } catch {
    // It was not a socket.
  }
}

function isDuplex(value: unknown): boolean {
  const { readable, writable } = (value ?? {}) as Partial<Record<keyof Duplex<unknown>, unknown>>;
  return hasMethods(readable, ["getReader", "pipeTo"]) && hasMethods(writable, ["getWriter"]);
}

function hasMethods(value: unknown, methods: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return methods.every((method) => typeof (value as Record<string, unknown>)[method] === "function");
}

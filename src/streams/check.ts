/**
 * Checks of what a caller passes, at the border of the library: each throws a TypeError where it is not of the right kind
 * and a RangeError where it is out of range, which names what it should be and what it is.
 */
import type { Duplex, Transport } from "./duplex.ts";

/** The longest time that a timer can be set to, in milliseconds; Node takes a longer one for none. */
export const LONGEST_TIMER = 0x7fffffff;

/** A value for a message, in short: as it is written, or what it is. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const name: unknown = Array.isArray(value) ? "Array" : value.constructor?.name;
  if (typeof name !== "string" || name === "" || name === "Object") return "an object";
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** Checks a whole number, `least` to `most`; both are safe integers. */
export function checkWhole(value: unknown, what: string, least = 0, most = Number.MAX_SAFE_INTEGER): void {
  checkType(value, what, "number");
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    const limit = most === Number.MAX_SAFE_INTEGER ? "2^53 - 1" : most;
    throw new RangeError(`${what} must be a whole number from ${least} to ${limit}, not ${String(value)}`);
  }
}

/** Checks an amount, `least` to `most`, of which parts are possible, or no end. */
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

/** Checks an object that has these methods. */
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

/** Checks both halves of a channel. */
export function checkDuplex(value: unknown, what: string): void {
  if (isDuplex(value)) return;
  throw new TypeError(`${what} must have a readable and a writable stream, and is ${shown(value)}`);
}

/** Checks a transport that stays the caller's when it is wrong. */
export function checkTransport(value: unknown, what: string): void {
  if (isDuplex(value) && hasMethods(value, ["close"])) return;
  throw new TypeError(
    `${what} must be a transport, with a readable and a writable stream and close(), not ${shown(value)}; webSocket(), and in Node socketTransport(), make one`,
  );
}

/** Checks a transport that belongs to who checks it: what was given in its place is ended, as far as it can be. */
export function checkOwnTransport(value: unknown, what: string): asserts value is Transport {
  try {
    checkTransport(value, what);
  } catch (error) {
    end(value);
    throw error;
  }
}

/** A socket that nobody uses or ends would keep its process alive. */
function end(value: unknown): void {
  const [method] = ["destroy", "close"].filter((name) => hasMethods(value, [name]));
  try {
    if (method) (value as Record<string, () => void>)[method]!();
  } catch {
    // It was no socket.
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

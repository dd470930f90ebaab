import { fromBase64url, toBase64url } from "../streams/base64url.ts";

/** Bytes of a word. */
const LENGTH = 16;

/** Makes a word that nobody can foresee: 16 random bytes as base64url. Challenges, nonces and keys are such words. */
export function newWord(): string {
  return toBase64url(crypto.getRandomValues(new Uint8Array(LENGTH)));
}

/** Whether something has the form of a word. */
export function isWord(value: unknown): value is string {
  return (
    typeof value === "string" && value.length < 2 * LENGTH && fromBase64url(value)?.byteLength === LENGTH
  );
}

/** @throws TypeError if it is not a word. The message does not tell the value, which may be a key */
export function checkWord(value: unknown, what: string): asserts value is string {
  if (!isWord(value)) throw new TypeError(`${what} must be ${LENGTH} bytes as base64url without padding`);
}

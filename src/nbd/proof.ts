import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { fromBase64url, toBase64url } from "../streams/base64url.ts";
import { checkWord } from "./word.ts";

/** Makes a proof worthless for anything else. */
const SUBJECT = "nbd-proxy resume 1\n";

/**
 * Proves that its maker has a key, without telling the key: an HMAC-SHA256, as base64url.
 * @param key a word that both sides keep
 * @param challenge a word of the side that is to be convinced, new for each proof
 * @throws TypeError if one of them is not a word
 */
export function proofOf(key: string, challenge: string): string {
  checkWord(key, "the key");
  checkWord(challenge, "the challenge");
  return toBase64url(hmac(sha256, fromBase64url(key)!, new TextEncoder().encode(SUBJECT + challenge)));
}

/** Whether a proof was made with this key for this challenge. How long it takes tells nothing of the key. */
export function proves(proof: string | undefined, key: string, challenge: string): boolean {
  const expected = proofOf(key, challenge);
  if (proof?.length !== expected.length) return false;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= proof.charCodeAt(i) ^ expected.charCodeAt(i);
  return difference === 0;
}

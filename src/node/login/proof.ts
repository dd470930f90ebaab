import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** What a proof covers, and so cannot be used for anything else. */
export interface ProofSubject {
  /** The Host header as the client writes it, in lower case. Another program cannot pass a proof on from the real gateway. */
  authority: string;
  /** The client's nonce, and the gateway's: each side's own makes an old proof worthless. */
  nonce: string;
  gatewayNonce: string;
}

/** Bytes of a nonce. */
const NONCE_LENGTH = 32;

/** A nonce: 32 random bytes as base64url. */
export function newNonce(): string {
  return randomBytes(NONCE_LENGTH).toString("base64url");
}

/** Whether something that a peer sent has the form of a nonce, or of a proof, which is the same. */
export function isNonce(value: unknown): value is string {
  return typeof value === "string" && /^[\w-]{43}$/.test(value);
}

/** Proves to a client that the gateway has the token, without telling it: an HMAC-SHA256, as base64url. */
export function gatewayProof(token: string, subject: ProofSubject): string {
  return proof(token, "nbd-proxy gateway", subject);
}

/** Proves to a gateway that the client has the token. The role is part of it, so that no proof can be sent back. */
export function clientProof(token: string, subject: ProofSubject): string {
  return proof(token, "nbd-proxy client", subject);
}

function proof(token: string, role: string, { authority, nonce, gatewayNonce }: ProofSubject): string {
  return createHmac("sha256", token)
    .update([role, authority, nonce, gatewayNonce].join("\n"))
    .digest("base64url");
}

/** Compares two secrets in a time that depends only on their lengths, and tells nothing of their contents. */
export function isEqual(one: string, other: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}

import type { X509Certificate } from "node:crypto";

/** The SHA-256 fingerprint of a certificate: 32 bytes in upper-case hexadecimal, with colons, as openssl prints it. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256;
}

/**
 * Reads a SHA-256 fingerprint of a certificate: 64 hexadecimal digits, with or without colons, or base64 after "sha256/".
 * What openssl and nbd-gateway print before it may be there too.
 *
 * @returns it in the form of `fingerprintOf`
 * @throws TypeError when it is none
 */
export function parseFingerprint(text: string): string {
  const bare = text.trim().replace(/^sha-?256( fingerprint)?(\s*[=:]\s*|\s+)/i, "");
  const base64 = /^sha256\/([A-Za-z0-9+/]{43})=?$/.exec(bare)?.[1];
  const digits = base64 === undefined ? hexadecimal(bare) : Buffer.from(base64, "base64").toString("hex");
  if (digits === undefined) {
    throw new TypeError(
      'a fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons, or "sha256/" and base64',
    );
  }
  return digits.toUpperCase().match(/../g)!.join(":");
}

function hexadecimal(text: string): string | undefined {
  const isOne = /^[\da-f]{64}$/i.test(text) || /^[\da-f]{2}(:[\da-f]{2}){31}$/i.test(text);
  return isOne ? text.replaceAll(":", "") : undefined;
}

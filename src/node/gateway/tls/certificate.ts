import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { messageOf } from "../../../streams/message-of.ts";
import { ipAddress } from "../../ip-address.ts";

const DAY = 24 * 60 * 60 * 1000;

/** Milliseconds before its end from which a certificate is warned of. */
const WARNING_TIME = 14 * DAY;

/** A certificate with its key, which were checked. */
export interface Certificate {
  /** PEM: the certificate, and those that lead to its authority. */
  cert: string;
  /** PEM. Secret. */
  key: string;
  /** The DNS names that it is for, in lower case; the first label may be `*`. */
  names: readonly string[];
  /** The IP addresses that it is for. */
  addresses: readonly string[];
  /** SHA-256 of the certificate: pairs of hexadecimal digits in upper case, with colons. */
  fingerprint: string;
  /** Milliseconds since 1970. */
  end: number;
  isSelfSigned: boolean;
}

/**
 * Checks that a certificate and a key are such, belong together, and are valid now.
 * @param now milliseconds since 1970
 * @throws Error in words, which tell nothing of the key
 */
export function checkedCertificate(cert: string, key: string, now: number): Certificate {
  const first = readCertificate(cert);
  if (!first.checkPrivateKey(readKey(key))) throw new Error("the key does not belong to the certificate");
  const [begin, end] = [Date.parse(first.validFrom), Date.parse(first.validTo)];
  if (now > end) throw new Error(`the certificate has ended on ${day(end)}; renew it`);
  if (now < begin) {
    throw new Error(`the certificate is valid from ${day(begin)} only; is the clock of this machine right?`);
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new Error(`OpenSSL does not take them: ${messageOf(error)}`);
  }
  const alternatives = (first.subjectAltName ?? "").split(", ");
  const those = (kind: string) =>
    alternatives.filter((one) => one.startsWith(kind)).map((one) => one.slice(kind.length));
  return {
    cert,
    key,
    names: those("DNS:")
      .map((name) => name.toLowerCase())
      .filter((name) => /^(\*\.)?[\w.-]+$/.test(name)),
    addresses: those("IP Address:")
      .map(ipAddress)
      .filter((address) => address !== undefined),
    fingerprint: first.fingerprint256,
    end,
    isSelfSigned: first.issuer === first.subject && first.verify(first.publicKey),
  };
}

/** Says when a certificate ends, if that is soon. */
export function warningOf({ end }: Certificate, now: number): string | undefined {
  if (end - now >= WARNING_TIME) return undefined;
  return now > end ? `has ended on ${day(end)}; renew it` : `ends on ${day(end)}; renew it before`;
}

/** A day, for people. */
export function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function readCertificate(pem: string): X509Certificate {
  // X509Certificate takes DER too, which a server does not.
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) throw new Error("there is no certificate in PEM in it");
  try {
    return new X509Certificate(pem);
  } catch {
    throw new Error("its certificate is damaged");
  }
}

function readKey(pem: string): KeyObject {
  if (!/-----BEGIN (\w+ )?PRIVATE KEY-----/.test(pem))
    throw new Error("there is no private key in PEM in it");
  if (/-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new Error('the key has a passphrase, for which nobody can be asked; "openssl pkey" removes it');
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error("its private key is damaged");
  }
}

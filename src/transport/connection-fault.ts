import { messageOf } from "../streams/message-of.ts";
import { quoted } from "../streams/quoted.ts";
import { isTls } from "./is-tls.ts";

/** An error of Node or of OpenSSL. */
type CodedError = Error & { code?: string };

/** Why there is no connection, by the code of the error. */
export const connectionWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the server closed the connection without an answer",
  EAI_AGAIN: "the host's name cannot be looked up now",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the host cannot be reached",
  ENOTFOUND: "there is no host of that name",
  ETIMEDOUT: "the host does not answer",
};

/** What is wrong with a certificate, by the code of OpenSSL. */
const certificateWords: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has ended",
  CERT_NOT_YET_VALID: "is not valid yet, by this machine's clock",
  DEPTH_ZERO_SELF_SIGNED_CERT: "is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "is of an authority that is not known here",
  UNABLE_TO_GET_ISSUER_CERT: "is of an authority that is not known here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "is of an authority that is not known here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "is of an authority that is not known here",
};

/** The scheme that a server may speak in place of the one that was tried. */
const otherSchemes: Readonly<Record<string, string>> = {
  "ws:": "wss://",
  "wss:": "ws://",
  "http:": "https://",
  "https:": "http://",
};

/** OpenSSL's words for a server that answers in plain text. */
const PLAIN = /wrong version number|packet length too long|unknown protocol|http request/;

/** Characters of a certificate's names that a message quotes. */
const MAX_WORDS = 200;

/** Why a server at a URL with this protocol could not be connected to, in words. Its certificate is not looked at. */
export function connectionFault(error: CodedError, protocol: string): string {
  const { code = "", message } = error;
  const known = connectionWords[code];
  const other = otherSchemes[protocol];
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) {
    if (PLAIN.test(message)) return `the server does not speak TLS there; use ${other}`;
    // The rest of the message names OpenSSL's functions and files.
    const [, why] = /SSL routines:[^:]*:([^:\n]+)/.exec(message) ?? [];
    return why ? `TLS failed: ${why}` : messageOf(error);
  }
  const hint = isTls(protocol) ? `if it does not speak TLS, use ${other}` : `if it speaks TLS, use ${other}`;
  if (code === "ECONNRESET") return `${known}; ${hint}`;
  if (code.startsWith("HPE_")) return `the server does not speak HTTP there; ${hint}`;
  return known ?? messageOf(error);
}

/** What is wrong with a server's certificate, if that is what an error says. */
export function certificateFault(error: CodedError): string | undefined {
  const { code = "" } = error;
  const fault = certificateWords[code];
  if (fault) return `the server's certificate ${fault}`;
  if (code !== "ERR_TLS_CERT_ALTNAME_INVALID") return undefined;
  const { host = "", cert } = error as { host?: string; cert?: { subjectaltname?: string } };
  return `the server's certificate is for ${quoted(cert?.subjectaltname ?? "", MAX_WORDS)}, not for ${quoted(host)}`;
}

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { isTls } from "../transport/is-tls.ts";
import { fingerprintOf, parseFingerprint } from "./fingerprint.ts";

export { isTls };

/** Which certificate of a server is trusted. Default: one for its name, of an authority that Node trusts. */
export interface Trust {
  /** Only the certificate with this SHA-256 fingerprint, which may be signed by itself and be for any name. */
  fingerprint?: string;
  /** Certificates of authorities, in PEM, in place of those that Node trusts. Together with a fingerprint, both must fit. */
  ca?: string | Uint8Array;
  /** Any certificate: whoever answers can read and change everything. */
  insecure?: boolean;
}

/**
 * Checks how a server is to be trusted.
 * @throws TypeError when it is nothing that can be used
 */
export function checkTrust({ fingerprint, ca, insecure }: Trust, protocol: string): void {
  if (fingerprint !== undefined) parseFingerprint(fingerprint);
  if (ca !== undefined) checkCertificate(ca);
  const isUsed = fingerprint !== undefined || ca !== undefined || insecure;
  if (isUsed && !isTls(protocol))
    throw new TypeError("fingerprint, ca and insecure are for https:// and wss:// URLs");
  if (insecure && (fingerprint !== undefined || ca !== undefined)) {
    throw new TypeError(
      "insecure takes any certificate, so it does not go together with a fingerprint or an authority",
    );
  }
}

function checkCertificate(pem: string | Uint8Array): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new TypeError("ca has no certificate in PEM", { cause });
  }
}

/**
 * Opens a TLS connection to the host of a URL, and checks its certificate before anything is sent.
 * @throws Error as Node has it; FingerprintError
 */
export function openTls({ hostname, port }: URL, trust: Trust, signal: AbortSignal): Promise<TLSSocket> {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const { fingerprint, ca, insecure } = trust;
  const isPinned = fingerprint !== undefined;
  const wanted = isPinned ? parseFingerprint(fingerprint) : undefined;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(port || 443),
      // An address is not sent as a name (RFC 6066, section 3).
      servername: isIP(host) ? "" : host,
      ALPNProtocols: ["http/1.1"],
      // Said in both cases, since a variable of the environment would change the default.
      rejectUnauthorized: ca !== undefined || !(isPinned || insecure),
      ...(isPinned && { checkServerIdentity: () => undefined }),
      ...(ca !== undefined && { ca: Buffer.from(ca) }),
    });
    const fail = (error: Error) => {
      signal.removeEventListener("abort", giveUp);
      reject(error);
    };
    const giveUp = () => void socket.destroy(signal.reason);
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
    // It stays: the connection may fail before its user listens.
    socket.on("error", fail);
    socket.once("close", () => fail(new Error("the connection was closed")));
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", giveUp);
      const seen = fingerprintOf(socket.getPeerX509Certificate()!);
      if (wanted !== undefined && seen !== wanted) {
        socket.destroy(new FingerprintError(seen, wanted));
        return;
      }
      resolve(socket);
    });
  });
}

/** A server has another certificate than the one that is trusted. */
export class FingerprintError extends Error {
  override name = "FingerprintError";

  constructor(seen: string, wanted: string) {
    super(
      `its certificate has the fingerprint ${seen}, and not ${wanted}; ` +
        "it was made anew, or somebody else answers there: compare with what the gateway prints",
    );
  }
}

/** Certificates for tests, as files. */
import { writeFileSync } from "node:fs";
import { makeCertificate } from "../src/node/gateway/tls/make-certificate.ts";
import type { Sandbox } from "./harness.ts";

const DAY = 24 * 60 * 60 * 1000;

export interface Pair {
  cert: string;
  key: string;
  certFile: string;
  keyFile: string;
}

/** Makes a certificate and its key. Days are counted from now. */
export function pairOf(names: readonly string[], end = 90, begin = -1): { cert: string; key: string } {
  return makeCertificate({
    commonName: "test",
    names,
    begin: new Date(Date.now() + begin * DAY),
    end: new Date(Date.now() + end * DAY),
  });
}

/** Writes a certificate and its key as NAME-cert.pem and NAME-key.pem. */
export function writePair(sandbox: Sandbox, name: string, names: readonly string[], end?: number): Pair {
  const pair = pairOf(names, end);
  const [certFile, keyFile] = [sandbox.path(`${name}-cert.pem`), sandbox.path(`${name}-key.pem`)];
  writeFileSync(certFile, pair.cert);
  writeFileSync(keyFile, pair.key, { mode: 0o600 });
  return { ...pair, certFile, keyFile };
}

import { dirname } from "node:path";
import type { GatewayKeys } from "../../config/gateway-keys.ts";
import type { Log } from "../../log/log.ts";
import { certificateFiles } from "./certificate-files.ts";
import type { Certificates } from "./certificates.ts";
import { selfSigned } from "./self-signed.ts";

export type TlsKeys = Pick<GatewayKeys, "tls-cert" | "tls-key" | "tls-self-signed">;

/** What flags say of TLS; where they say nothing, what a configuration file says. */
export function tlsKeys(flags: TlsKeys, file: TlsKeys): TlsKeys {
  const names = ["tls-cert", "tls-key", "tls-self-signed"] as const;
  const isSaid = names.some((name) => flags[name] !== undefined);
  return isSaid ? flags : file;
}

/**
 * The certificates that keys ask for; undefined if they ask for none.
 * @param tokenFile beside it a self-signed certificate is kept
 * @throws Error in words when they cannot be had, or the keys contradict each other
 */
export async function chooseCertificates(
  { "tls-cert": certFile, "tls-key": keyFile, "tls-self-signed": isSelfSigned }: TlsKeys,
  { host, tokenFile, log }: { host: string; tokenFile: string; log: Log },
): Promise<Certificates | undefined> {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const [there, missing] = certFile ? ["tls-cert", "tls-key"] : ["tls-key", "tls-cert"];
    throw new Error(`${there} needs ${missing} beside it`);
  }
  if (certFile !== undefined && keyFile !== undefined) {
    if (isSelfSigned) throw new Error("give either tls-cert and tls-key, or tls-self-signed");
    return certificateFiles({ certFile, keyFile, log });
  }
  return isSelfSigned ? selfSigned({ folder: dirname(tokenFile), host, log }) : undefined;
}

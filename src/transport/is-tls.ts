/** Whether a URL's protocol has TLS. */
export function isTls(protocol: string): boolean {
  return protocol === "https:" || protocol === "wss:";
}

import type { Certificate } from "./certificate.ts";

/** Where a gateway's certificate comes from, which can be renewed while it runs. */
export interface Certificates {
  readonly current: Certificate;
  /** Is called with each certificate that comes in place of the one before. */
  onrenewed: ((certificate: Certificate) => void) | undefined;
  /** Looks now for a new one. What is wrong with it is told in a line; the old one stays. */
  look(): Promise<void>;
  /** Looks no more. */
  close(): void;
}

/** Milliseconds between two warnings. */
export const WARNING_INTERVAL = 24 * 60 * 60 * 1000;

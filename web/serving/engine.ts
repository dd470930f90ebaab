/** What serves, wherever it runs. Its last report, "ended" or "failed", tells that it holds nothing any more. */
export interface Engine {
  /** See `Serving`. */
  protocols(protocols: readonly string[]): void;
  wake(): void;
  stop(): void;
}

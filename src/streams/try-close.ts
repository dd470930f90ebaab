/** Closes a readable by its controller. It does nothing if the stream is closed, cancelled or failed already. */
export function tryClose(controller: { close(): void }): void {
  try {
    controller.close();
  } catch {
    // Closing twice throws, and several ends may coincide.
  }
}

/** Fails a stream by its controller. It does nothing if the stream is closed, cancelled or failed already. */
export function tryError(controller: { error(reason: unknown): void }, reason: unknown): void {
  try {
    controller.error(reason);
  } catch {
    // As above.
  }
}

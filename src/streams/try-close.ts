/** Closes a readable's controller; harmless where it is closed, cancelled or failed already. */
export function tryClose(controller: { close(): void }): void {
  try {
    controller.close();
  } catch {
    // Closing twice throws, and several ends of life may come together.
  }
}

/** Fails a controller; harmless where it is closed, cancelled or failed already. */
export function tryError(controller: { error(reason: unknown): void }, reason: unknown): void {
  try {
    controller.error(reason);
  } catch {
    // As above.
  }
}

const lent = new WeakMap<Uint8Array, () => void>();

/**
 * Lends bytes to whoever is handed them: `giveBack` with the same object ends that and calls `onReturn`, which may free
 * their memory. Bytes that are never given back stay as they are, so nobody has to. Who does must be the last to have them.
 */
export function lend(bytes: Uint8Array, onReturn: () => void): Uint8Array {
  lent.set(bytes, onReturn);
  return bytes;
}

/** Whether somebody waits for these bytes to be given back. */
export function isLent(payload: Uint8Array): boolean {
  return lent.has(payload);
}

/** Says that nobody will look at these bytes again. Where they were not lent it does nothing. */
export function giveBack(payload: Uint8Array): void {
  const onReturn = lent.get(payload);
  if (!onReturn) return;
  lent.delete(payload);
  onReturn();
}

/** Bytes that were lent, handed on in parts: given back once each part was, and no more parts are taken. */
export class Loan {
  readonly #bytes: Uint8Array;
  #users = 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Lends a part of the bytes. */
  part(part: Uint8Array): Uint8Array {
    this.#users++;
    return lend(part, () => this.#leave());
  }

  /** Called once, when no more parts will be taken. */
  end(): void {
    this.#leave();
  }

  #leave() {
    if (--this.#users === 0) giveBack(this.#bytes);
  }
}

const lent = new WeakMap<Uint8Array, () => void>();

/**
 * Lends bytes. `giveBack` with the same object ends the loan and calls `onReturn`, which may reuse their memory. Nobody has
 * to give bytes back: until then they stay as they are. Only the last holder may call `giveBack`.
 */
export function lend(bytes: Uint8Array, onReturn: () => void): Uint8Array {
  lent.set(bytes, onReturn);
  return bytes;
}

/** Whether these bytes were lent and not yet given back. */
export function isLent(payload: Uint8Array): boolean {
  return lent.has(payload);
}

/** Ends the loan of bytes that nobody will look at again. It does nothing if they were not lent. */
export function giveBack(payload: Uint8Array): void {
  const onReturn = lent.get(payload);
  if (!onReturn) return;
  lent.delete(payload);
  onReturn();
}

/** Lent bytes that are handed on in parts. They are given back after `end`, once each part has been given back. */
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

  /** No more parts will be lent. To be called once. */
  end(): void {
    this.#leave();
  }

  #leave() {
    if (--this.#users === 0) giveBack(this.#bytes);
  }
}

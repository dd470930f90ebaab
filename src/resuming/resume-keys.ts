/** Where the key is kept by which a gateway knows again who served it. */
export interface ResumeKeys {
  /** The key that was kept last; undefined if there is none. */
  get(): string | undefined | Promise<string | undefined>;
  /**
   * Keeps a key in place of an older one; undefined: forgets it.
   * @param wait seconds for which the gateway that has given the key waits when the link is lost
   */
  set(key: string | undefined, wait?: number): void | Promise<void>;
}

/** Keeps the key as long as this object lives. */
export function keysInMemory(): ResumeKeys {
  let kept: string | undefined;
  return {
    get: () => kept,
    set(key) {
      kept = key;
    },
  };
}

declare global {
  // As in lib.esnext.disposable.d.ts, for those who compile for a runtime that lacks it.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}

/** What `await using` closes. As a type of this module it brings along what is declared above. */
export interface AsyncDisposable {
  [Symbol.asyncDispose](): PromiseLike<void>;
}

/** Closes an object, or a copy of it with a `close` of its own. */
function close(this: { close(): Promise<void> }): Promise<void> {
  return this.close();
}

/** Lets `await using` close an object. Does nothing in a runtime that lacks `Symbol.asyncDispose`. */
export function disposable<T extends { close(): Promise<void> }>(object: T): T & AsyncDisposable {
  const symbol = Symbol.asyncDispose as typeof Symbol.asyncDispose | undefined;
  return symbol ? Object.assign(object, { [symbol]: close }) : (object as T & AsyncDisposable);
}

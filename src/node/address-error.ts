/** An address that cannot be had, in words. */
export class AddressError extends Error {
  override name = "AddressError";
  /** As Node's own errors have it, such as EADDRINUSE. */
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The end of a session that somebody at the gateway has asked for. The other side is told by the end alone, as it is no fault. */
export class EjectedError extends Error {
  override name = "EjectedError";

  constructor() {
    super("ejected");
  }
}

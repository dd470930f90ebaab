/**
 * The reason with which a stage that has finished by itself tells whoever still writes to it: no failure, just
 * nobody there any more. Given as the reason of an abort it asks a stage to finish what it has and close.
 *
 * WHATWG streams have no such signal: a sink cannot close its own writable, and what `terminate()` does looks
 * like a failure upstream.
 */
export class Ended extends Error {
  override name = "Ended";
  constructor(message = "the stream has ended") {
    super(message);
  }
}

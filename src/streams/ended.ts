/**
 * The reason of an end that is not a failure. A writer gets it from a stage that has finished by itself. As the reason of an
 * abort, it asks a stage to finish what it has and close.
 *
 * WHATWG streams have no such signal: a sink cannot close its own writable, and `terminate()` looks like a failure upstream.
 */
export class Ended extends Error {
  override name = "Ended";
  constructor(message = "the stream has ended") {
    super(message);
  }
}

/** A reader that reads on from where it was. */
export interface SequentialReader {
  /** The offset at which its next read is expected. */
  position: number;
  /** The end of what has been asked for on its behalf, as an offset. */
  ahead: number;
}

/** Readers that are told apart by where they read. They are iterated with the most recently used last. */
export class SequentialReaders<Reader extends SequentialReader> extends Set<Reader> {
  /** The reader whose next read is expected at this offset, or that has been given what is there. */
  at(offset: number): Reader | undefined {
    for (const reader of this) {
      if (offset === reader.position || (offset > reader.position && offset < reader.ahead)) return reader;
    }
    return undefined;
  }

  /** Adds a reader, or notes that it has read again. */
  use(reader: Reader): void {
    this.delete(reader);
    this.add(reader);
  }
}

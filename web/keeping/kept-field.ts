/**
 * The files of this page in a field that nobody sees: Firefox fills the fields of a page in again when it is reloaded, and only
 * those that stand in its HTML.
 */
export class KeptField {
  readonly #field: HTMLInputElement;
  readonly #restored: readonly File[];

  /** @param field as it was before this page has kept anything */
  constructor(field: HTMLInputElement) {
    this.#field = field;
    this.#restored = [...(field.files ?? [])];
  }

  /** A file that the page had before it was reloaded. */
  find({ name, size }: Pick<File, "name" | "size">): File | undefined {
    return this.#restored.find((file) => file.name === name && file.size === size);
  }

  /** Has these files found after a reload, in place of those that it had. */
  keep(files: readonly File[]): void {
    try {
      const transfer = new DataTransfer();
      for (const file of files) transfer.items.add(file);
      this.#field.files = transfer.files;
    } catch {
      // Then the file has to be chosen again after a reload.
    }
  }
}

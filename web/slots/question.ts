/** A question that a person answers before something goes on. */
export class Question {
  readonly #dialog: HTMLDialogElement;
  readonly #text: HTMLElement;

  /** @param dialog with an element whose `data-part` is "question", and a form whose buttons have the values "yes" and "" */
  constructor(dialog: HTMLDialogElement) {
    this.#dialog = dialog;
    this.#text = dialog.querySelector("[data-part=question]")!;
  }

  /** Asks. Another question that is open gets no for an answer. */
  async ask(text: string): Promise<boolean> {
    const dialog = this.#dialog;
    if (dialog.open) dialog.close("");
    this.#text.textContent = text;
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    return dialog.returnValue === "yes";
  }
}

/** A question that a person answers before something goes on. */
export class Question {
  readonly #dialog: HTMLDialogElement;
  readonly #text: HTMLElement;

  /**
   * @param dialog with buttons whose values are "yes" and ""
   * @param text an element in it
   */
  constructor(dialog: HTMLDialogElement, text: HTMLElement) {
    this.#dialog = dialog;
    this.#text = text;
    // Not by a form: the content security policy allows none.
    for (const button of dialog.querySelectorAll("button")) {
      button.addEventListener("click", () => dialog.close(button.value));
    }
  }

  /** Asks. Another question that is open gets no for an answer, as Escape does. */
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

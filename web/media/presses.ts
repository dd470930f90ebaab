/** Milliseconds within which the second click of a double click comes. */
const DOUBLE = 400;

/**
 * Hears presses of buttons that take each other's place, with the focus. Not the second click of a double click, nor a key that is
 * held down: both were meant for the button that was there before.
 */
export class Presses {
  #last: { readonly button: HTMLButtonElement; readonly at: number } | undefined;

  listen(button: HTMLButtonElement, onpress: () => void): void {
    button.addEventListener("keydown", (event) => {
      if (event.repeat && event.key === "Enter") event.preventDefault();
    });
    button.addEventListener("click", ({ detail, timeStamp }) => {
      const last = this.#last;
      this.#last = { button, at: timeStamp };
      // Some browsers count anew on another button. A key's click has no count.
      const isSecond = last !== undefined && last.button !== button && timeStamp - last.at < DOUBLE;
      if (detail > 1 || (detail === 1 && isSecond)) return;
      onpress();
    });
  }
}

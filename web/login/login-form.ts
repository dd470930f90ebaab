import { tokenIn } from "./login.ts";

/** The field for the token. It is hidden unless the gateway wants one. */
export class LoginForm {
  readonly #form: HTMLFormElement;
  readonly #field: HTMLInputElement;
  readonly #showButton: HTMLButtonElement;
  readonly #words: HTMLElement;
  #isBusy = false;

  /**
   * @param form with a field, a button beside it that shows what is in it, and an element of the role alert
   * @param logIn takes a token. Returns why it was refused, in words; undefined if it was right
   */
  constructor(form: HTMLFormElement, logIn: (token: string) => Promise<string | undefined>) {
    this.#form = form;
    this.#field = form.querySelector("input")!;
    this.#showButton = form.querySelector("button[aria-pressed]")!;
    this.#words = form.querySelector("[role=alert]")!;
    this.#showButton.addEventListener("click", () => this.#showToken(this.#field.type === "password"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit(logIn);
    });
  }

  /** Asks for a token, with the focus in the field, and says why if there are words for it. */
  show(why = ""): void {
    this.#form.hidden = false;
    this.#say(why);
    this.#field.focus();
  }

  /** Hides the field, and forgets what is in it. */
  hide(): void {
    this.#form.hidden = true;
    this.#field.value = "";
    this.#showToken(false);
    this.#say("");
  }

  async #submit(logIn: (token: string) => Promise<string | undefined>) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    // So that the same words are read out again if the next token is wrong too.
    this.#say("");
    const fault = await logIn(tokenIn(this.#field.value));
    this.#isBusy = false;
    if (fault === undefined) return;
    this.#say(fault);
    this.#field.setAttribute("aria-invalid", "true");
    this.#field.focus();
    this.#field.select();
  }

  #say(words: string) {
    this.#words.textContent = words;
    this.#field.setAttribute("aria-invalid", "false");
  }

  #showToken(isShown: boolean) {
    this.#field.type = isShown ? "text" : "password";
    this.#showButton.setAttribute("aria-pressed", String(isShown));
  }
}

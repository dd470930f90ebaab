import type { Login } from "./login.ts";
import { LoginForm } from "./login-form.ts";

export interface GateOptions {
  readonly form: HTMLFormElement;
  readonly login: Login;
  /** Tries whether the gateway lets this page in by now. */
  enter(): Promise<boolean>;
  /** What is said if a login has succeeded, and the page is not let in all the same. */
  refusedAfter(): string;
  /** It is locked, or unlocked. */
  onchange(isLocked: boolean): void;
}

/** Keeps what needs a login from being seen until there is one. */
export class Gate {
  readonly #options: GateOptions;
  readonly #form: LoginForm;
  #isLocked = false;
  #why = "";

  constructor(options: GateOptions) {
    this.#options = options;
    this.#form = new LoginForm(options.form, (token) => this.#logIn(token));
  }

  get isLocked(): boolean {
    return this.#isLocked;
  }

  /** Asks for the token, and says why if there is a reason. While it is asked for already, only another reason is said. */
  lock(why = ""): void {
    this.#options.login.forget();
    if (this.#isLocked && (why === "" || why === this.#why)) return;
    this.#why = why;
    if (!this.#isLocked) {
      this.#isLocked = true;
      this.#options.onchange(true);
    }
    this.#form.show(why);
  }

  unlock(): void {
    if (!this.#isLocked) return;
    this.#isLocked = false;
    this.#form.hide();
    this.#options.onchange(false);
  }

  async #logIn(token: string): Promise<string | undefined> {
    const { login, enter, refusedAfter } = this.#options;
    const fault = await login.logIn(token);
    if (fault !== undefined) return fault;
    return (await enter()) ? undefined : refusedAfter();
  }
}

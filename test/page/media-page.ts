/** The page, and what a person does there: the same in each browser. */
import axe from "axe-core";
import * as assert from "uvu/assert";
import { until } from "../harness.ts";
import { Card } from "./card.ts";
import { cardNames, focusedElement, isSeen, type Outside } from "./controls.ts";
import { dropFile } from "./dropping.ts";
import { inPage, type Tab } from "./tab.ts";

export class MediaPage<T extends Tab = Tab> {
  readonly tab: T;

  constructor(tab: T) {
    this.tab = tab;
  }

  /** Opens it in a tab. */
  static async open<T extends Tab>(tab: T, url: string): Promise<MediaPage<T>> {
    await tab.goto(url);
    return new MediaPage(tab);
  }

  /** The names of the configurations that there are cards of. */
  cards(): Promise<string[]> {
    return this.tab.evaluate(inPage(cardNames));
  }

  /** @param name of its configuration; default: the only card, or the first one */
  card(name?: string): Card<T> {
    return new Card(this.tab, name ?? null);
  }

  /** An expression of what is not in a card, for the tab. */
  outside(id: Outside): string {
    return `document.getElementById(${JSON.stringify(id)})`;
  }

  isVisible(id: Outside): Promise<boolean> {
    return this.tab.evaluate(`(${isSeen})(${this.outside(id)})`);
  }

  /** Whether it is there to be used. */
  isEnabled(id: Outside): Promise<boolean> {
    return this.tab.evaluate(`((part) => (${isSeen})(part) && !part.disabled)(${this.outside(id)})`);
  }

  textOf(id: Outside): Promise<string> {
    return this.tab.evaluate(`${this.outside(id)}?.textContent.trim() ?? ""`);
  }

  /** All that can be read on the page, in cards too. */
  text(): Promise<string> {
    return this.tab.evaluate(inPage(allText));
  }

  /** Waits until what is not in a card says this. */
  async shows(id: Outside, words: string | RegExp): Promise<void> {
    let said = "";
    const isSaid = async () => {
      said = await this.textOf(id);
      return typeof words === "string" ? said === words : words.test(said);
    };
    await until(`${id} says ${words}`, isSaid).catch((error: Error) => {
      throw new Error(`${error.message}, but: ${said}`);
    });
  }

  /** Waits until it asks for the token, with these words. */
  async isAsked(words: string | RegExp): Promise<void> {
    await until("the field for the token", () => this.isVisible("token"));
    await this.shows("login-words", words);
    assert.is(await this.focused(), "token");
  }

  /** Pastes a token into its field, and sends it. */
  async logIn(token: string): Promise<void> {
    await until("the field for the token", () => this.isVisible("token"));
    await this.tab.evaluate(inPage(paste, token));
    await this.tab.press("Enter");
  }

  /** Drops a file beside the cards. */
  async drop(file: string): Promise<void> {
    await dropFile(this.tab, "document.querySelector('h1')", file);
  }

  /** Answers the question that is open. */
  async answer(isYes: boolean): Promise<void> {
    const button = `document.querySelector("#question[open] button[value='${isYes ? "yes" : ""}']")`;
    await until("there is a question", () => this.tab.evaluate<boolean>(`${button} !== null`));
    await this.tab.click(button);
  }

  logOut(): Promise<void> {
    return this.tab.click(this.outside("log-out"));
  }

  /** The part, or the id, of what has the focus. */
  focused(): Promise<string> {
    return this.tab.evaluate(
      `((element) => element?.getAttribute("part") ?? element?.id ?? "")(${inPage(focusedElement)})`,
    );
  }

  reload(): Promise<void> {
    return this.tab.reload();
  }

  close(): Promise<void> {
    return this.tab.close();
  }

  /** Has the page believe that it is hidden, or seen again. */
  async hide(isHidden = true): Promise<void> {
    await this.tab.evaluate(inPage(pretendHidden, isHidden));
  }

  /** What its security policy has refused. */
  violations(): Promise<string[]> {
    return this.tab.evaluate("globalThis.violations ?? []");
  }

  /** Neither the browser nor the security policy has complained. */
  async isQuiet(): Promise<void> {
    assert.equal(await this.violations(), [], "what its security policy has refused");
    assert.equal(await this.tab.complaints(), [], "what is on the console");
  }

  /** What is wrong with the page for those who cannot see it, or not well. */
  async faults(): Promise<string[]> {
    await this.tab.run(`if (!globalThis.axe) { ${axe.source} }`);
    const found = await this.tab.evaluate<axe.Result[]>("axe.run().then(({ violations }) => violations)");
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }

  /** How many pixels of CSS it is wider than what shows it. */
  overflow(): Promise<number> {
    return this.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  }
}

function paste(text: string): void {
  const field = document.querySelector<HTMLInputElement>("#token")!;
  field.focus();
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertFromPaste", data: text }));
}

/** The text of a document, and of the open shadow roots in it. */
function allText(): string {
  const textIn = (root: Document | ShadowRoot): string =>
    [
      root instanceof Document ? root.body.innerText : root.textContent,
      ...[...root.querySelectorAll("*")].flatMap(({ shadowRoot }) => (shadowRoot ? textIn(shadowRoot) : [])),
    ].join("\n");
  return textIn(document);
}

function pretendHidden(isHidden: boolean): void {
  const state = isHidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}

/** A card of the page, for one configuration, and what a person does there. */
import { until } from "../harness.ts";
import { focusedElement, isSeen, type Kind, kindOf, type Part, partOf } from "./controls.ts";
import { dropFile } from "./dropping.ts";
import { inPage, type Tab } from "./tab.ts";

type DropAt = (x: number, y: number, files: readonly string[]) => Promise<void>;

/** When a tab was last clicked on, by its card's parts. */
const clickedAt = new WeakMap<Tab, number>();

export class Card<T extends Tab = Tab> {
  readonly tab: T;
  /** The name of its configuration; null: that of the only card, or of the first one. */
  readonly name: string | null;

  constructor(tab: T, name: string | null) {
    this.tab = tab;
    this.name = name;
  }

  /** An expression of a part, for the tab. */
  part(part: Part): string {
    return inPage(partOf, this.name, part);
  }

  /** What stands in a part, without the marks that keep names of files apart from the words around them; "" where it is not there. */
  async textOf(part: Part): Promise<string> {
    const text = await this.tab.evaluate<string>(`${this.part(part)}?.textContent.trim() ?? ""`);
    return text.replaceAll(/[\u2066-\u2069]/g, "");
  }

  isVisible(part: Part): Promise<boolean> {
    return this.tab.evaluate(`(${isSeen})(${this.part(part)})`);
  }

  /** Whether it is there to be used. */
  isEnabled(part: Part): Promise<boolean> {
    return this.tab.evaluate(`((part) => (${isSeen})(part) && !part.disabled)(${this.part(part)})`);
  }

  async focus(part: Part): Promise<void> {
    await this.tab.evaluate(`${this.part(part)}.focus()`);
  }

  /** Moves the focus with the key Tab until a part has it. */
  async focusByKeys(part: Part): Promise<void> {
    for (let presses = 0; presses < 50; presses++) {
      await this.tab.press("Tab");
      if (await this.tab.evaluate(`${inPage(focusedElement)} === ${this.part(part)}`)) return;
    }
    throw new Error(`the key Tab does not lead to ${part}`);
  }

  /** Not so soon after another click of the tab that the two were a double click. */
  async click(part: Part): Promise<void> {
    const soonest = (clickedAt.get(this.tab) ?? Number.NEGATIVE_INFINITY) + 600;
    await new Promise((resolve) => setTimeout(resolve, soonest - performance.now()));
    await this.tab.click(this.part(part));
    clickedAt.set(this.tab, performance.now());
  }

  /** Chooses a file. A person's click empties the field before, so that a file that has changed can be chosen again. */
  async choose(file: string): Promise<void> {
    await this.#isThere();
    await this.tab.evaluate(`void (${this.part("file")}.value = "")`);
    await this.tab.upload(this.part("file"), [file]);
  }

  /** Gives the address of an image, by the keyboard alone. */
  async giveAddress(url: string): Promise<void> {
    await this.#isThere();
    await this.focusByKeys("url");
    await this.tab.type(url);
    await this.tab.press("Enter");
  }

  /** Drops a file with the mouse, which has the browser know where it is. */
  async dropByMouse(this: Card<Tab & { dropAt: DropAt }>, file: string): Promise<void> {
    await this.#isThere();
    const place = await this.tab.evaluate<{ x: number; y: number }>(`(${middleOf})(${this.part("drop")})`);
    await this.tab.dropAt(place.x, place.y, [file]);
  }

  /** Drops a file. */
  async drop(file: string): Promise<void> {
    await this.#isThere();
    await dropFile(this.tab, this.part("drop"), file);
  }

  /** Has it serve, and waits until the other machine has the disk. */
  async serve(milliseconds?: number): Promise<void> {
    await this.click("serve");
    await this.isServing(milliseconds);
  }

  /** Stops it, and waits until that is done. */
  async stop(): Promise<void> {
    await this.click("stop");
    await this.is("stopped");
  }

  kind(): Promise<string> {
    return this.tab.evaluate(`(${kindOf})(${this.part("state")})`);
  }

  /** Waits until it is at one of these. */
  async is(...kinds: readonly Kind[]): Promise<void> {
    await this.#isAt(kinds);
  }

  /** Waits until the other machine has the disk. */
  async isServing(milliseconds?: number): Promise<void> {
    await this.#isAt(["attached", "serving"], milliseconds);
  }

  /** Waits until its link is lost, whether the gateway answers then or not. */
  async isLost(): Promise<void> {
    await this.#isAt(["lost", "gateway-gone"]);
  }

  /** Waits until it knows that somebody else has the place: because it is told, or because it has asked. */
  async isInUse(): Promise<void> {
    await until("it is in use by somebody else", async () => {
      if (["held", "in-use"].includes(await this.kind())) return true;
      if (await this.isEnabled("serve")) await this.click("serve").catch(() => {});
      return false;
    });
  }

  async #isThere(): Promise<void> {
    await until("there is a card", () => this.tab.evaluate<boolean>(`${this.part("file")} !== null`));
  }

  async #isAt(kinds: readonly string[], milliseconds?: number): Promise<void> {
    let kind = "";
    const isAt = async () => {
      kind = await this.kind();
      return kinds.includes(kind);
    };
    await until(`the card is at ${kinds.join(" or ")}`, isAt, milliseconds).catch(async (error: Error) => {
      throw new Error(`${error.message}, but at ${kind}: ${await this.state()}`);
    });
  }

  /** What it says of its state: headline, cause and remedy, as far as they are shown. */
  async state(): Promise<string> {
    const said: string[] = [];
    for (const part of ["state", "detail", "remedy"] as const) {
      if (await this.isVisible(part)) said.push(await this.textOf(part));
    }
    return said.join(". ");
  }

  /** Waits until its state is this. */
  async says(words: string | RegExp, milliseconds?: number): Promise<void> {
    await this.#tells("it says", () => this.state(), words, milliseconds);
  }

  /** Waits until a part shows this. */
  async shows(part: Part, words: string | RegExp, milliseconds?: number): Promise<void> {
    await this.#tells(`${part} shows`, () => this.textOf(part), words, milliseconds);
  }

  async #tells(
    what: string,
    look: () => Promise<string>,
    words: string | RegExp,
    milliseconds?: number,
  ): Promise<void> {
    let told = "";
    const isTold = async () => {
      told = await look();
      return typeof words === "string" ? told === words : words.test(told);
    };
    await until(`${what} ${words}`, isTold, milliseconds).catch((error: Error) => {
      throw new Error(`${error.message}, but: ${told}`);
    });
  }
}

/** The middle of an element, once it is seen. */
function middleOf(element: HTMLElement): { x: number; y: number } {
  element.scrollIntoView({ block: "center", behavior: "instant" });
  const { left, top, width, height } = element.getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2 };
}

/** What a person sees of a terminal to which bytes are written, escape sequences included. */
import headless from "@xterm/headless";

const { Terminal } = headless;

export class ShownScreen {
  readonly #terminal: InstanceType<typeof Terminal>;

  constructor(columns: number, rows = 24) {
    this.#terminal = new Terminal({ cols: columns, rows, allowProposedApi: true });
  }

  write(bytes: Uint8Array | string): void {
    this.#terminal.write(bytes);
  }

  /** The window gets another width. */
  resize(columns: number): void {
    this.#terminal.resize(columns, this.#terminal.rows);
  }

  /** The rows of the screen and of what was scrolled out of it, without those that are empty at the end. */
  async rows(): Promise<string[]> {
    await new Promise<void>((resolve) => this.#terminal.write("", resolve));
    const { active } = this.#terminal.buffer;
    const rows = Array.from(
      { length: active.length },
      (_, row) => active.getLine(row)?.translateToString(true) ?? "",
    );
    while (rows.at(-1) === "") rows.pop();
    return rows;
  }

  /** Where the cursor is: its row among those of `rows()`, and its column. */
  async cursor(): Promise<{ row: number; column: number }> {
    await this.rows();
    const { baseY, cursorY, cursorX } = this.#terminal.buffer.active;
    return { row: baseY + cursorY, column: cursorX };
  }

  end(): void {
    this.#terminal.dispose();
  }
}

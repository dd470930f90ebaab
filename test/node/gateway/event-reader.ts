import type { ConfigurationStatus, StatusDocument } from "../../../src/node/gateway/status/document.ts";

/** An event of `/events`. */
export type StatusEvent =
  | { readonly name: "status"; readonly data: StatusDocument }
  | { readonly name: "configuration"; readonly data: ConfigurationStatus };

/** Reads the events of a gateway, until its end. */
export class EventReader {
  readonly events: StatusEvent[] = [];
  /** Resolves when the gateway has ended the answer, or the connection has gone. */
  readonly ended: Promise<void>;
  readonly #leaving: AbortController;

  private constructor(
    readonly response: Response,
    leaving: AbortController,
  ) {
    this.#leaving = leaving;
    this.ended = this.#read().catch(() => {});
  }

  /** @param base the URL of the gateway */
  static async open(base: string, headers: Readonly<Record<string, string>> = {}): Promise<EventReader> {
    const leaving = new AbortController();
    const response = await fetch(new URL("events", base), { headers, signal: leaving.signal });
    return new EventReader(response, leaving);
  }

  /** The states of a configuration, each once where it is the same as the one before. */
  statesOf(name: string): string[] {
    const all = this.events.flatMap(({ data }) => ("configurations" in data ? data.configurations : [data]));
    const states = all.filter((one) => one.name === name).map(({ state }) => state);
    return states.filter((state, i) => state !== states[i - 1]);
  }

  /** Leaves, and waits until that is done. */
  async close(): Promise<void> {
    this.#leaving.abort();
    await this.ended;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
    if (name !== undefined) this.events.push({ name, data: JSON.parse(data!) } as StatusEvent);
  }
}

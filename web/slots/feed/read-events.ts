import { createParser } from "eventsource-parser";

/** Milliseconds without a byte after which the connection is taken for dead. The gateway says something every 15 s. */
const SILENCE = 40_000;

/** The most characters of an event that are kept: the status of a thousand configurations. */
const LONGEST = 1 << 22;

/**
 * Reads server-sent events until the server ends them.
 *
 * @param onevent takes the name and the data of each
 * @throws Error if the connection fails or goes silent, or an event is too long
 */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  onevent: (name: string, data: string) => void,
  silence = SILENCE,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let fault: Error | undefined;
  let alarm: ReturnType<typeof setTimeout> | undefined;
  const fail = (error: Error) => {
    fault ??= error;
    void reader.cancel().catch(() => {});
  };
  const parser = createParser({
    onEvent: ({ event = "message", data }) => onevent(event, data),
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") fail(new Error("an event is too long"));
    },
    maxBufferSize: LONGEST,
  });
  try {
    while (!fault) {
      alarm = setTimeout(() => fail(new Error(`nothing came for ${silence / 1000} s`)), silence);
      const { value, done } = await reader.read();
      clearTimeout(alarm);
      if (done) break;
      parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    clearTimeout(alarm);
    reader.releaseLock();
  }
  if (fault) throw fault;
}

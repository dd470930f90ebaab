import { MediaServer } from "./media-server.ts";
import { type FromWorker, type ToWorker, transferred } from "./messages.ts";
import { RelayedKey } from "./relayed-key.ts";

/** The Worker's end of its channel to the page. */
export interface PagePort {
  onmessage: ((event: { readonly data: ToWorker }) => void) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

/**
 * Serves what the page says, over the Worker's channel to it.
 * @param ready when the runtime has all that is needed. What the page says meanwhile waits
 */
export function serveFor(port: PagePort, ready: Promise<void>): void {
  let server: MediaServer | undefined;

  function take(message: ToWorker) {
    switch (message.kind) {
      case "start":
        server ??= begin(message);
        return;
      case "protocols":
        return server?.protocols(message.protocols);
      case "wake":
        return server?.wake();
      case "stop":
        return server?.stop();
      case "ping":
        return server?.ask();
    }
  }

  function begin({ options, key }: Extract<ToWorker, { kind: "start" }>): MediaServer {
    const resumeKeys = new RelayedKey(key, () => server?.ask());
    return new MediaServer({ ...options, resumeKeys }, (report) => {
      const message = { report, kept: resumeKeys.take() };
      port.postMessage(message, transferred(message) as ArrayBuffer[]);
    });
  }

  port.onmessage = ({ data }) => void ready.then(() => take(data));
}

const waiting: (() => void)[] = [];
let channel: MessageChannel | undefined;

/**
 * Runs a callback in a later task, after most of the events that are queued now (runtimes have several queues). In browsers
 * it takes a message to the page itself, since timers are slow in hidden pages.
 */
export function nextTask(callback: () => void): void {
  const { setImmediate } = globalThis as { setImmediate?(callback: () => void): unknown };
  if (setImmediate) {
    setImmediate(callback);
    return;
  }
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  waiting.push(callback);
  channel.port2.postMessage(undefined);
}

const waiting: (() => void)[] = [];
let channel: MessageChannel | undefined;

/**
 * Calls back in a later task, so that those which wait already, as for messages that have come, have had their turn; most of
 * them, as runtimes have several queues. In a browser it is a message to itself, as timers are slow in hidden pages.
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

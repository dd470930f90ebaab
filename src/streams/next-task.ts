const waiting: (() => void)[] = [];
let channel: MessageChannel | undefined;

/**
 * Calls back when the tasks that wait already have run: messages that have come, for instance. In a browser it is a message
 * to itself, as timers are slow in hidden pages.
 */
export function nextTask(callback: () => void): void {
  if (typeof setImmediate === "function") {
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

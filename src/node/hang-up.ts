import { loadKoffi } from "./koffi.ts";

/** What poll(2) says, unasked, of a pipe that nobody reads from any more, and of a socket whose other end is closed. */
const POLLERR = 0x08;
const POLLHUP = 0x10;

/** Milliseconds between two looks. */
const INTERVAL = 250;

let loaded: Promise<(fd: number) => boolean> | undefined;

/** Node tells of a pipe that it writes to only when something is written: an idle one may have lost its reader long ago. */
async function load(): Promise<(fd: number) => boolean> {
  const koffi = await loadKoffi();
  const poll = koffi.load(null).func("int poll(void *fds, unsigned long nfds, int timeout)");
  // struct pollfd: an int, and two shorts, what is asked for and what is told.
  const entry = new Int32Array(2);
  const [events, told] = [2, 3];
  const shorts = new Int16Array(entry.buffer);
  return (fd) => {
    entry[0] = fd;
    shorts[events] = 0;
    return poll(entry, 1, 0) > 0 && (shorts[told]! & (POLLERR | POLLHUP)) !== 0;
  };
}

/**
 * Calls back once, within some 250 ms, when nobody can read any more what is written to a pipe or socket. Without the
 * package koffi it never does.
 * @returns what ends that
 */
export function onHangUp(fd: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  function end() {
    isOver = true;
    clearInterval(timer);
  }
  loaded ??= load();
  loaded.then(
    (isHungUp) => {
      if (isOver) return;
      timer = setInterval(() => {
        if (!isHungUp(fd)) return;
        end();
        callback();
      }, INTERVAL);
    },
    () => {},
  );
  return end;
}

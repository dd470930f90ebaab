/** What is read at a time, and what may wait to be sent: of larger pieces more is out of the processor's cache when it is sent. */
const PIECE = 1 << 18;
const UNSENT = 1 << 24;

/** What the browser reads by itself, it reads the faster the larger the pieces are, and several at once. */
const BLOB = 1 << 22;
const AT_ONCE = 4;

/** Readers that nobody knows but those who wait for them are garbage to Chromium. */
const readers = new Set();

/** A file's bytes, in pieces of the same memory. */
async function* pieces(file) {
  const reader = file.stream().getReader({ mode: "byob" });
  readers.add(reader);
  let buffer = new ArrayBuffer(PIECE);
  for (let read = 0; read < file.size; ) {
    let at = 0;
    while (at < PIECE && read < file.size) {
      const { value } = await reader.read(new Uint8Array(buffer, at));
      if (!value?.byteLength) throw new Error("the file has become shorter");
      buffer = value.buffer;
      at += value.byteLength;
      read += value.byteLength;
    }
    yield new Uint8Array(buffer, 0, at);
  }
  readers.delete(reader);
}

/** The same where streams do not read into given memory. */
async function* buffers(file) {
  const ahead = [];
  for (const blob of blobs(file)) {
    ahead.push(blob.arrayBuffer());
    if (ahead.length === AT_ONCE) yield ahead.shift();
  }
  yield* ahead;
}

function* blobs(file) {
  for (let at = 0; at < file.size; at += BLOB) yield file.slice(at, at + BLOB);
}

function readsIntoMemory() {
  try {
    new Blob([]).stream().getReader({ mode: "byob" });
    return true;
  } catch {
    return false;
  }
}

/**
 * No protocol at all: reads a File in one go, and sends it over a WebSocket piece by piece. This is the limit of what a
 * page can do.
 *
 * @param url a ws:// URL
 * @param file what to send
 * @param kind "bytes" reads each piece into the page's memory; "blob" leaves that to the browser
 */
globalThis.sendBare = async (url, file, kind) => {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const source = kind === "blob" ? blobs : readsIntoMemory() ? pieces : buffers;
  for await (const piece of source(file)) {
    socket.send(piece);
    while (socket.bufferedAmount > UNSENT) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  socket.close();
};

const PIECE = 1 << 22;
const AT_ONCE = 4;

/** Memory that pieces are read into again. */
const spare = [];

/** Readers that nobody knows but those who wait for them are garbage to Chromium. */
const readers = new Set();

async function readPiece(slice) {
  const reader = slice.stream().getReader({ mode: "byob" });
  readers.add(reader);
  let buffer = spare.pop() ?? new ArrayBuffer(PIECE);
  let at = 0;
  while (at < slice.size) {
    const { value } = await reader.read(new Uint8Array(buffer, at, slice.size - at));
    buffer = value.buffer;
    at += value.byteLength;
  }
  readers.delete(reader);
  return new Uint8Array(buffer, 0, at);
}

/**
 * No protocol at all: reads a File in pieces, several at a time, and sends them over a WebSocket in order, each as a
 * message. This is the limit of what a page can do.
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
  const ahead = [];
  let read = 0;
  const next = () => {
    const slice = file.slice(read, read + PIECE);
    read += PIECE;
    ahead.push(kind === "blob" ? slice : readPiece(slice));
  };
  while (read < file.size || ahead.length > 0) {
    while (ahead.length < AT_ONCE && read < file.size) next();
    const piece = await ahead.shift();
    socket.send(piece);
    if (kind !== "blob") spare.push(piece.buffer);
    while (socket.bufferedAmount > AT_ONCE * PIECE) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  socket.close();
};

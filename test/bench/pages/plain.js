/**
 * What the page of a first-generation web console does: NBD_OPT_EXPORT_NAME, simple replies and READ, one FileReader
 * after the other, a message for each reply. It has none of this package's code.
 *
 * @param url a ws:// URL
 * @param file what to serve, read-only
 */
globalThis.servePlain = (url, file) => {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let received = new Uint8Array(0);
  let state = onClientFlags;
  let noZeroes = false;
  const queue = [];

  socket.onopen = () => {
    const greeting = new Uint8Array(18);
    greeting.set(new TextEncoder().encode("NBDMAGICIHAVEOPT"));
    greeting[17] = 3; // fixed newstyle, no zeroes
    socket.send(greeting);
  };
  socket.onmessage = ({ data }) => {
    const joined = new Uint8Array(received.length + data.byteLength);
    joined.set(received);
    joined.set(new Uint8Array(data), received.length);
    received = joined;
    for (let used = 1; used > 0; received = received.subarray(used)) {
      used = state(new DataView(received.buffer, received.byteOffset, received.length));
    }
  };

  function onClientFlags(view) {
    if (view.byteLength < 4) return 0;
    noZeroes = (view.getUint32(0) & 2) !== 0;
    state = onOption;
    return 4;
  }

  function onOption(view) {
    if (view.byteLength < 16) return 0;
    const option = view.getUint32(8);
    const length = view.getUint32(12);
    if (view.byteLength < 16 + length) return 0;
    if (option === 1) {
      const reply = new DataView(new ArrayBuffer(noZeroes ? 10 : 134));
      reply.setBigUint64(0, BigInt(file.size));
      reply.setUint16(8, 3); // has flags, read-only
      socket.send(reply.buffer);
      state = onRequest;
    } else {
      const reply = new DataView(new ArrayBuffer(20));
      reply.setBigUint64(0, 0x0003e889045565a9n);
      reply.setUint32(8, option);
      reply.setUint32(12, 0x80000001); // NBD_REP_ERR_UNSUP
      socket.send(reply.buffer);
    }
    return 16 + length;
  }

  function onRequest(view) {
    if (view.byteLength < 28) return 0;
    const type = view.getUint16(6);
    const cookie = view.getBigUint64(8);
    if (type === 0) {
      queue.push({ cookie, offset: Number(view.getBigUint64(16)), length: view.getUint32(24) });
      if (queue.length === 1) answer();
    } else if (type === 2) socket.close();
    else socket.send(header(cookie, 22, 0)); // EINVAL
    return 28;
  }

  function answer() {
    const { cookie, offset, length } = queue[0];
    const reader = new FileReader();
    reader.onload = () => {
      const reply = header(cookie, 0, length);
      reply.set(new Uint8Array(reader.result), 16);
      socket.send(reply);
      queue.shift();
      if (queue.length > 0) answer();
    };
    reader.readAsArrayBuffer(file.slice(offset, offset + length));
  }

  function header(cookie, error, length) {
    const reply = new DataView(new ArrayBuffer(16 + length));
    reply.setUint32(0, 0x67446698);
    reply.setUint32(4, error);
    reply.setBigUint64(8, cookie);
    return new Uint8Array(reply.buffer);
  }
};

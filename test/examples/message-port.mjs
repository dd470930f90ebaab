// A transport of your own, and a stream of your own between two layers: an export is served at one end of a
// MessageChannel, as it could be in a Worker, and read at the other.
import {
  Command,
  memoryExport,
  nameOf,
  nbdClient,
  negotiate,
  push,
  replyEncoder,
  requestHandler,
  requestParser,
  serverHandshake,
} from "nbd-proxy";

/** A transport is two streams and an end of life. Here a chunk is a message, and null is the end. */
function messagePortTransport(port) {
  const incoming = push();
  port.onmessage = ({ data }) => (data ? incoming.push(data) : incoming.close());
  const writable = new WritableStream({
    write: (chunk) => port.postMessage(chunk),
    close: () => port.postMessage(null),
    abort: () => port.close(),
  });
  const closed = new Promise((resolve) => port.addEventListener("close", () => resolve()));
  function close(reason) {
    if (reason) incoming.error(reason);
    else incoming.close();
    port.close();
  }
  return { readable: incoming.readable, writable, closed, close };
}

/** Serves one client. This is nbdServer() taken apart, with a TransformStream that sees each request. */
async function serve(transport, target) {
  const { result, rest } = await negotiate(transport, (dialogue) =>
    serverHandshake(dialogue, [{ name: "memory", target }]),
  );
  const { negotiated } = result;
  const watch = new TransformStream({
    transform(requests, controller) {
      for (const { type, offset, length } of requests) {
        console.log(`${nameOf(Command, type)}: ${length} bytes at ${offset}`);
      }
      controller.enqueue(requests);
    },
  });
  await rest.readable
    .pipeThrough(requestParser(negotiated))
    .pipeThrough(watch)
    .pipeThrough(requestHandler(target, negotiated))
    .pipeThrough(replyEncoder(negotiated))
    .pipeTo(rest.writable);
}

const { port1, port2 } = new MessageChannel();
const disk = new TextEncoder().encode("The bytes of a disk image");
const serving = serve(messagePortTransport(port1), memoryExport(disk));

const remote = await nbdClient(messagePortTransport(port2));
const data = await remote.read(4, 5);
console.log(`${remote.size} bytes, "${new TextDecoder().decode(data)}"`);
await remote.close();
await serving;

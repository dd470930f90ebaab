// A stream of your own between two layers: an export is served at one end of a MessageChannel, as it could be in a
// Worker, and read at the other, and each request is seen on its way.
import { memoryExport, messagePort, nbdClient } from "nbd-proxy";
import {
  Command,
  nameOf,
  replyEncoder,
  requestHandler,
  requestParser,
  serverHandshake,
} from "nbd-proxy/protocol";
import { ByteBudget, negotiate } from "nbd-proxy/streams";

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
  // What the requests in flight may hold, in bytes.
  const room = new ByteBudget(1 << 24).share(1 << 24);
  await rest.readable
    .pipeThrough(requestParser(negotiated, { room }))
    .pipeThrough(watch)
    .pipeThrough(requestHandler(target, negotiated, { room }))
    .pipeThrough(replyEncoder(negotiated))
    .pipeTo(rest.writable);
}

const { port1, port2 } = new MessageChannel();
const disk = new TextEncoder().encode("The bytes of a disk image");
const serving = serve(messagePort(port1), memoryExport(disk));

const remote = await nbdClient(messagePort(port2));
const data = await remote.read(4, 5);
console.log(`${remote.size} bytes, "${new TextDecoder().decode(data)}"`);
await remote.close();
await serving;

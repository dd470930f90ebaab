import type { Layer } from "../../streams/duplex.ts";
import type { Payload } from "../../streams/payload.ts";
import { transform } from "../../streams/transform.ts";
import { gather } from "../gather.ts";
import { SimpleReply } from "../messages.ts";
import type { NbdReply } from "../transmission.ts";

/** The layer from replies to bytes (proto.md, "Simple reply message"). */
export function replyEncoder(): Layer<NbdReply[], Payload> {
  return transform<NbdReply[], Payload>({
    // What is asked for again has left: the room that the replies took can be given to others.
    lockstep: true,
    transform(replies, controller) {
      gather(
        replies,
        (reply) => SimpleReply.encode(reply),
        (chunk: Payload) => controller.enqueue(chunk),
      );
    },
  });
}

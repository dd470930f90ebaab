/** The entry "nbd-proxy/fixtures": conversations are recorded, described and replayed, as in the tests of an NBD program. */
export { type Described, Describer } from "./nbd/describe/describer.ts";
export {
  type Conversation,
  ConversationError,
  formatConversation,
  formatMessage,
  type Message,
  otherSide,
  parseConversation,
  type Side,
} from "./transport/conversation.ts";
export { type RecordSink, record } from "./transport/record.ts";
export { type Replay, type ReplayOptions, replay, replayLayer } from "./transport/replay.ts";
export { ReplayError } from "./transport/replay-error.ts";

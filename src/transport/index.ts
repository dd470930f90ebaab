export {
  type Conversation,
  ConversationError,
  formatConversation,
  formatMessage,
  type Message,
  otherSide,
  parseConversation,
  type Side,
} from "./conversation.ts";
export { type RecordSink, record } from "./record.ts";
export { type Replay, type ReplayOptions, replay, replayLayer } from "./replay.ts";
export { ReplayError } from "./replay-error.ts";
export {
  WebSocketError,
  type WebSocketLike,
  type WebSocketTransportOptions,
  webSocket,
} from "./websocket.ts";

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
export { type Replay, ReplayError, type ReplayOptions, replay, replayLayer } from "./replay.ts";
export {
  WebSocketError,
  type WebSocketLike,
  type WebSocketTransportOptions,
  webSocket,
} from "./websocket.ts";

export {
  WebSocketError,
  type WebSocketLike,
  type WebSocketTransportOptions,
  webSocket,
} from "./websocket.ts";

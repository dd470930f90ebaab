/** Everything that runs anywhere: streams, protocol, exports, the WebSocket transport. Names no Node module. */
export * from "./export/index.ts";
export * from "./NBDServer.ts";
export * from "./nbd/index.ts";
export * from "./streams/index.ts";
export * from "./transport/index.ts";

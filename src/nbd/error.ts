import type { ForOthers } from "../streams/for-others.ts";

/** An error that is about the peer. It may be told. */
class PeerError extends Error implements ForOthers {
  get forOthers(): string {
    return this.message;
  }
}

/** The peer broke the NBD protocol: nothing that it sends from here on can be understood. */
export class ProtocolError extends PeerError {
  override name = "ProtocolError";
}

/** The server said no during the handshake (an NBD_REP_ERR reply, or it ended the connection). */
export class RefusedError extends PeerError {
  override name = "RefusedError";
}

/** The link to the server ended or failed while requests were outstanding, or a request had no answer in time. */
export class LinkError extends PeerError {
  override name = "LinkError";
}

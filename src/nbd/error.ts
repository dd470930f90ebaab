import type { ForOthers } from "../streams/for-others.ts";

/** An error about the peer, which may be told to the peer. */
class PeerError extends Error implements ForOthers {
  get forOthers(): string {
    return this.message;
  }
}

/** The peer broke the NBD protocol. What it sends after that cannot be understood. */
export class ProtocolError extends PeerError {
  override name = "ProtocolError";
}

/** The server refused during the handshake, by an NBD_REP_ERR reply or by ending the connection. */
export class RefusedError extends PeerError {
  override name = "RefusedError";
}

/** The link to the server ended or failed while requests were outstanding, or a request was not answered in time. */
export class LinkError extends PeerError {
  override name = "LinkError";
}

/** The server did not answer in time. The link is given up for that; the server may be there again on the next one. */
export class NoAnswerError extends LinkError {
  override name = "NoAnswerError";
}

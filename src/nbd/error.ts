/** The peer broke the NBD protocol: nothing that it sends from here on can be understood. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

/** The server said no during the handshake (an NBD_REP_ERR reply, or it ended the connection). */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/** The link to the server ended or failed while requests were outstanding, or a request had no answer in time. */
export class LinkError extends Error {
  override name = "LinkError";
}

import type { RequestWindow } from "../../export/request-window.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import type { Transport } from "../../streams/duplex.ts";
import { type BeginHandshakeOptions, beginHandshake } from "./begun-handshake.ts";
import type { RemoteExport } from "./remote-export.ts";

export interface NbdClientOptions extends Omit<BeginHandshakeOptions, "introduce" | "signal"> {
  /**
   * What the server is asked for at most, in bytes, headers of the replies included. Default: 4 MiB outstanding, in requests of
   * 256 KiB. Servers that know only EXPORT_NAME are never asked for more than 512 KiB, in requests of 128 KiB, and headers.
   */
  window?: Partial<RequestWindow>;
  /** Gives the handshake up. */
  signal?: AbortSignal;
}

/**
 * An NBD client: does the handshake over a transport and returns the server's export. The transport belongs to
 * the export from then on; it is closed when the export is, or when the handshake fails.
 *
 * @throws TypeError, RangeError when an argument is not what it should be; what was passed in place of a transport is ended
 * @throws RefusedError when the server refuses the export
 * @throws LinkError when the server does not answer in time
 * @throws ProtocolError, UnexpectedEndError when what it says is not NBD
 */
export async function nbdClient(
  transport: Transport,
  options: NbdClientOptions = {},
): Promise<RemoteExport & AsyncDisposable> {
  const { window, signal } = options;
  const begun = await beginHandshake(transport, options);
  return begun.finish({ ...(window && { window }), ...(signal && { signal }) });
}

/** How many bytes may be asked of an export that is far away. */
export interface RequestWindow {
  /** Payload of one request. */
  readonly request: number;
  /** In all requests that are outstanding, headers of their replies included. */
  readonly outstanding: number;
}

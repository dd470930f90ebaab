/** How many bytes of payload may be asked of an export that is far away. */
export interface RequestWindow {
  /** In one request. */
  readonly request: number;
  /** In all requests that are outstanding. */
  readonly outstanding: number;
}

/** What may be asked of an export that is far away, in bytes of payload. */
export interface RequestWindow {
  /** At a time. */
  readonly request: number;
  /** In all. */
  readonly outstanding: number;
}

/** What the card needs of what a gateway tells of a configuration (bin/status.schema.json): times are ISO 8601. */
export interface RemoteStatus {
  readonly state: "free" | "connecting" | "attached" | "waiting" | "ending";
  /** Where the disk is, or will be. */
  readonly where: string;
  readonly allowsTakeOver: boolean;
  readonly session: {
    readonly id: string;
    readonly since: string;
    readonly waitingUntil: string | null;
    readonly medium: { readonly name: string; readonly size: number } | null;
    /** What the gateway fetches by itself has a source, and no address. */
    readonly peer: { readonly address: string | null; readonly source?: string | null };
  } | null;
  readonly lastError: { readonly words: string; readonly at: string } | null;
}

import type { UrlRemedy } from "./url-remedy.ts";

/** Somebody who has the place, as far as the gateway tells. */
export interface Holder {
  readonly state: "connecting" | "attached" | "waiting" | "ending";
  /** Whether it is another tab of this browser. */
  readonly isThisBrowser: boolean;
  /** From where. */
  readonly address: string | undefined;
  /** In milliseconds since 1970. */
  readonly since: number | undefined;
  /** Until when a new link is waited for. */
  readonly until: number | undefined;
  readonly file: string | undefined;
  readonly size: number | undefined;
  readonly allowsTakeOver: boolean;
}

/** What waits on the other machine for its file. */
export interface Awaited {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** In milliseconds since 1970. */
  readonly until: number;
  /** Its address, if it is an image at one. */
  readonly url?: string | undefined;
}

/** What a card is at, with all that its words need. Plain data: two that say the same are equal. */
export type Situation =
  /** Nothing is chosen; nobody has the place, as far as is known. */
  | { readonly kind: "free"; readonly lastError: { readonly words: string; readonly at: number } | undefined }
  /** `host`: where, if it is at an address. */
  | { readonly kind: "looking"; readonly host: string | undefined }
  /** What was chosen cannot be read. */
  | { readonly kind: "bad-file"; readonly why: string }
  /** What is at the address cannot be had. */
  | {
      readonly kind: "bad-url";
      readonly why: string;
      readonly remedy: UrlRemedy;
      readonly isTriedAgain: boolean;
    }
  | { readonly kind: "folder" }
  | { readonly kind: "ready" }
  | { readonly kind: "interrupted"; readonly awaited: Awaited; readonly canGoOn: boolean }
  | { readonly kind: "held"; readonly holder: Holder }
  | { readonly kind: "connecting"; readonly host: string }
  | { readonly kind: "waiting"; readonly host: string }
  /** Served; nothing was read yet. */
  | { readonly kind: "attached"; readonly host: string }
  /** Served, and the last read has succeeded. */
  | { readonly kind: "serving"; readonly host: string; readonly gap: number | undefined }
  /** Served, but reads of the file fail. */
  | { readonly kind: "unreadable"; readonly why: string; readonly isWebFile: boolean }
  /** The link is lost, and is tried to be had again. */
  | { readonly kind: "lost"; readonly host: string; readonly until: number }
  /** As `lost`, and nothing answers there: `until` is undefined once it is given up. */
  | { readonly kind: "gateway-gone"; readonly host: string; readonly until: number | undefined }
  | { readonly kind: "stopping" }
  /** Ended by this page. `wasThere`: the other machine had the disk. */
  | { readonly kind: "stopped"; readonly isAwaited: boolean; readonly wasThere: boolean }
  /** Ended by the other side, in order. */
  | { readonly kind: "ejected"; readonly host: string }
  | { readonly kind: "given-up"; readonly host: string; readonly why: string }
  | { readonly kind: "in-use"; readonly why: string; readonly holder: Holder | undefined }
  | { readonly kind: "taken-over"; readonly why: string; readonly holder: Holder | undefined }
  | { readonly kind: "another-medium"; readonly why: string; readonly awaited: Awaited | undefined }
  | { readonly kind: "refused"; readonly why: string; readonly wantsLogin: boolean }
  | { readonly kind: "failed"; readonly why: string };

export type Kind = Situation["kind"];

/** How much a situation matters to those who only look. Green is said of what works at this moment, and of nothing else. */
export type Tone = "quiet" | "busy" | "good" | "warning" | "bad";

const TONES: Readonly<Record<Kind, Tone>> = {
  free: "quiet",
  looking: "busy",
  "bad-file": "bad",
  "bad-url": "bad",
  folder: "bad",
  ready: "quiet",
  interrupted: "warning",
  held: "warning",
  connecting: "busy",
  waiting: "busy",
  attached: "busy",
  serving: "good",
  unreadable: "bad",
  lost: "warning",
  "gateway-gone": "bad",
  stopping: "busy",
  stopped: "quiet",
  ejected: "quiet",
  "given-up": "bad",
  "in-use": "warning",
  "taken-over": "warning",
  "another-medium": "bad",
  refused: "bad",
  failed: "bad",
};

export function toneOf({ kind }: Situation): Tone {
  return TONES[kind];
}

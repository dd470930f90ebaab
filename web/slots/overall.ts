import type { Tone } from "../media/situation.ts";

/** The worst first. */
const ORDER: readonly Tone[] = ["bad", "warning", "busy", "good", "quiet"];

/** What a card is at. */
export interface CardState {
  readonly tone: Tone;
  /** In words. */
  readonly headline: string;
  /** The file, as it is to be shown; undefined if none is chosen. */
  readonly file: string | undefined;
  /** Whether this page serves there, or has just failed to. */
  readonly isOurs: boolean;
}

/** What all cards of a page are at together. */
export interface Overall {
  readonly tone: Tone;
  /** The worst of those that this page is about; undefined if it serves nothing. */
  readonly first: CardState | undefined;
  /** How many of them have that tone. */
  readonly count: number;
}

/** What the tab's title and icon say: the worst of what this page serves. What others serve is none of it. */
export function overall(states: readonly CardState[]): Overall {
  const ours = states.filter(({ isOurs }) => isOurs);
  const tone = ORDER.find((one) => ours.some((state) => state.tone === one)) ?? "quiet";
  const those = ours.filter((state) => state.tone === tone);
  return { tone, first: those[0], count: those.length };
}

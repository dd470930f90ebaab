/** A part of a name as it is shown. */
export interface NamePart {
  readonly text: string;
  /** Whether it stands for a character that cannot be seen, or that turns others around. */
  readonly isEscape: boolean;
}

/** A file's name in two parts, so that what turns the first one around cannot move the second. */
export interface ShownName {
  readonly stem: readonly NamePart[];
  /** With its dot; empty if there is none. Always read from left to right, and always last. */
  readonly ending: readonly NamePart[];
}

/** The longest name that is shown, in characters; of a longer one the middle is left out. */
const LONGEST = 160;

/** The longest ending. A longer one is no kind of file. */
const ENDING = 12;

/**
 * What is not seen as it is: controls, marks that turn text around or join it, characters of private use and of no use, halves of
 * pairs, and all spaces but the plain one between two other characters.
 */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|[^\P{Zs} ]|^ +| +$| {2,}/gu;

/** A name such that what it has in it cannot make it look like another one: what is hidden is shown as its number. */
export function shownName(name: string): ShownName {
  const characters = [...name];
  const half = LONGEST / 2;
  const short =
    characters.length > LONGEST
      ? `${characters.slice(0, half).join("")}…${characters.slice(-half).join("")}`
      : name;
  const dot = short.lastIndexOf(".");
  const hasEnding = dot > 0 && short.length - dot <= ENDING;
  const parts = partsOf(short);
  if (!hasEnding) return { stem: parts, ending: [] };
  return { stem: partsOf(short.slice(0, dot)), ending: partsOf(short.slice(dot)) };
}

/** The same as plain text, for where there are no elements: each half is isolated by characters. */
export function shownNameText(name: string): string {
  const { stem, ending } = shownName(name);
  const text = (parts: readonly NamePart[]) => parts.map((part) => part.text).join("");
  // From left to right as a whole, whatever stands around it; the first half by itself.
  return `\u2066\u2068${text(stem)}\u2069${text(ending)}\u2069`;
}

function partsOf(text: string): NamePart[] {
  const parts: NamePart[] = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(HIDDEN)) {
    if (index > at) parts.push({ text: text.slice(at, index), isEscape: false });
    for (const character of found) parts.push({ text: numberOf(character), isEscape: true });
    at = index + found.length;
  }
  if (at < text.length) parts.push({ text: text.slice(at), isEscape: false });
  return parts;
}

function numberOf(character: string): string {
  return `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

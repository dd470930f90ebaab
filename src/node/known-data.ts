/** A range of bytes, the last one excluded. */
export interface Range {
  from: number;
  to: number;
}

/** How many ranges are remembered. Beyond that the shorter half of them is forgotten: it is found again the soonest. */
const MOST = 1 << 12;

/** The ranges of a file that were data when they were looked at: sorted, none touches another. */
export class KnownData {
  readonly #ranges: Range[] = [];

  get count(): number {
    return this.#ranges.length;
  }

  /** Whether all of a range is known to be data. */
  covers(from: number, to: number): boolean {
    const range = this.#ranges[this.#firstEndingAfter(from)];
    return range !== undefined && range.from <= from && to <= range.to;
  }

  add(from: number, to: number): void {
    if (from >= to) return;
    const first = this.#firstEndingAfter(from - 1);
    let last = first;
    const merged = { from, to };
    for (; last < this.#ranges.length && this.#ranges[last]!.from <= to; last++) {
      merged.from = Math.min(merged.from, this.#ranges[last]!.from);
      merged.to = Math.max(merged.to, this.#ranges[last]!.to);
    }
    this.#ranges.splice(first, last - first, merged);
    if (this.#ranges.length > MOST) this.#forgetShort();
  }

  /** Takes out a range, which need not be known as a whole. */
  remove(from: number, to: number): void {
    if (from >= to) return;
    const first = this.#firstEndingAfter(from);
    let last = first;
    const left: Range[] = [];
    for (; last < this.#ranges.length && this.#ranges[last]!.from < to; last++) {
      const range = this.#ranges[last]!;
      if (range.from < from) left.push({ from: range.from, to: from });
      if (range.to > to) left.push({ from: to, to: range.to });
    }
    this.#ranges.splice(first, last - first, ...left);
  }

  /** The index of the first range that ends after a place; the number of ranges where none does. */
  #firstEndingAfter(at: number): number {
    let low = 0;
    for (let high = this.#ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.#ranges[middle]!.to > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #forgetShort(): void {
    const lengths = this.#ranges.map(({ from, to }) => to - from).sort((a, b) => b - a);
    const shortest = lengths[MOST >> 1]!;
    // All may have that same length.
    let room = MOST >> 1;
    const isKept = ({ from, to }: Range) => to - from > shortest || (to - from === shortest && room-- > 0);
    this.#ranges.splice(0, this.#ranges.length, ...this.#ranges.filter(isKept));
  }
}

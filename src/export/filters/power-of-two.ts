/** The highest power of two that is not above a value; 1 for a value below 1. */
export function powerOfTwo(value: number): number {
  if (value >= 2 ** 31) return 2 ** Math.floor(Math.log2(value));
  return 1 << (31 - Math.clz32(Math.max(1, value)));
}

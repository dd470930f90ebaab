/** The range of an answer with a part of a file (RFC 9110, section 14.4), in bytes. */
export interface ContentRange {
  first: number;
  last: number;
  /** Undefined: the server does not know it. */
  total: number | undefined;
}

/** A Content-Range of a part. Undefined: it is none, or of another unit, or makes no sense. */
export function parseContentRange(value: string | null): ContentRange | undefined {
  const [, from, to, of] = /^bytes +(\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i.exec(value?.trim() ?? "") ?? [];
  if (of === undefined) return undefined;
  const [first, last] = [Number(from), Number(to)];
  const total = of === "*" ? undefined : Number(of);
  const isSound = first <= last && last < (total ?? Number.POSITIVE_INFINITY);
  return isSound && [last, total ?? 0].every(Number.isSafeInteger) ? { first, last, total } : undefined;
}

/** The size in the Content-Range of an answer 416. */
export function parseUnsatisfiedRange(value: string | null): number | undefined {
  const [, total] = /^bytes +\*\/(\d{1,16})$/i.exec(value?.trim() ?? "") ?? [];
  return total !== undefined && Number.isSafeInteger(Number(total)) ? Number(total) : undefined;
}

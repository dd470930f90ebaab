/** What tells a file from another one at the same URL (RFC 9110, section 8.8), as far as the server says it, and a page sees it. */
export interface Validator {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** The longest validator that is kept, in characters. A longer one counts as none. */
const LONGEST = 1024;

export function validatorOf(headers: Headers): Validator {
  const told = (name: string) => {
    const value = headers.get(name)?.trim();
    return value && value.length <= LONGEST ? value : undefined;
  };
  return { etag: told("etag"), lastModified: told("last-modified") };
}

/** Whether an entity tag says that files are equal byte for byte. */
export function isStrong(etag: string | undefined): etag is string {
  return etag?.startsWith('"') ?? false;
}

/**
 * How a file differs from the one that was known, in words; undefined: by nothing that was told. A strong ETag decides alone:
 * mirrors may disagree about the time, and an answer to If-Range need not tell it.
 */
export function validatorDifference(known: Validator, now: Validator): string | undefined {
  if (known.etag !== now.etag) return "it has another ETag";
  if (isStrong(known.etag) || known.lastModified === now.lastModified) return undefined;
  return "it was modified at another time";
}

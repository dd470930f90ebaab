import type { Validator } from "./validator.ts";

/** What a gateway is told of a file on a web server, to compare it with the one that it knows (`src/nbd/introduction.ts`). */
export interface HttpIdentity {
  /** The path of the URL, without host and query, which may change; and the ETag, if there is one. */
  name: string;
  /** Last-Modified, in milliseconds since 1970. */
  modified: number | undefined;
  /** How the file was changed since it was first asked for, in words. */
  changed: string | undefined;
}

/** Characters that an introduction has room for. */
const LONGEST = 255;

export function identityOf(url: URL, { etag, lastModified }: Validator, changed?: string): HttpIdentity {
  const tag = etag === undefined ? "" : ` ${etag}`.slice(0, LONGEST / 2);
  const modified = Date.parse(lastModified ?? "");
  return {
    // The end of a path says most.
    name: decoded(url.pathname).slice(-Math.floor(LONGEST - tag.length)) + tag,
    modified: Number.isNaN(modified) ? undefined : modified,
    changed,
  };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

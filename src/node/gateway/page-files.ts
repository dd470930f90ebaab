import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { lookup } from "mrmime";
import { reasonOf } from "../system-error.ts";
import { pagePolicy, sendBytes } from "./answers.ts";

/** The most that a page's folder may hold, since all of it is kept in memory. */
const MAX_FILES = 1000;
const MAX_MEBIBYTES = 16;

/** A compressed file is kept if it has at most this share of the bytes. */
const WORTHWHILE = 0.9;

const NOTHING = new Uint8Array(0);

/** One form of a file that a browser may be sent. */
interface Representation {
  coding?: "br" | "gzip";
  bytes: Uint8Array;
  /** Strong, so each coding has its own (RFC 9110, section 8.8.3.3). */
  etag: string;
}

interface PageFile {
  type: string;
  /** The shortest first; the last one is not coded. */
  representations: readonly Representation[];
}

/**
 * The files of the page, read and compressed once. No file is open while it is sent, and later changes of the folder have no
 * effect.
 */
export class PageFiles {
  readonly #files: ReadonlyMap<string, PageFile>;

  constructor(files: ReadonlyMap<string, PageFile>) {
    this.#files = files;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /**
   * Answers a request for a file. Returns false if there is no such file.
   * @param isSecure whether it came over https
   */
  answer(request: IncomingMessage, response: ServerResponse, isSecure: boolean): boolean {
    const file = this.#find(request.url ?? "");
    if (!file) return false;
    const { coding, bytes, etag } = chosen(file, request.headers["accept-encoding"]);
    const headers = {
      "Content-Security-Policy": pagePolicy(isSecure),
      ...{ ETag: etag, "Cache-Control": "no-cache", Vary: "Accept-Encoding" },
    };
    if (isKnown(etag, request.headers["if-none-match"])) sendBytes(response, 304, headers, NOTHING);
    else {
      const type = { "Content-Type": file.type, ...(coding && { "Content-Encoding": coding }) };
      sendBytes(response, 200, { ...headers, ...type }, bytes);
    }
    return true;
  }

  /** @param target the target of a request, a path with or without a query */
  #find(target: string): PageFile | undefined {
    try {
      const path = decodeURIComponent(target.replace(/\?.*/s, ""));
      return this.#files.get(path.endsWith("/") ? `${path}index.html` : path);
    } catch {
      return undefined; // the path is not the encoding of any text
    }
  }
}

/**
 * Reads the files of a folder and those below it, except for those whose names begin with a dot.
 * @throws Error if a file cannot be read, or if there are too many or too large files to keep in memory
 */
export async function readPageFiles(folder: string): Promise<PageFiles> {
  const files = new Map<string, PageFile>();
  let bytes = 0;
  const read = async (below: string): Promise<void> => {
    for (const name of await readdir(join(folder, below))) {
      if (name.startsWith(".")) continue;
      const path = `${below}/${name}`;
      const entry = await stat(join(folder, path));
      if (entry.isDirectory()) await read(path);
      if (!entry.isFile()) continue;
      bytes += entry.size;
      if (files.size === MAX_FILES || bytes > MAX_MEBIBYTES << 20) {
        throw new Error(
          `it holds more than ${MAX_FILES} files or ${MAX_MEBIBYTES} MiB, and a page is kept in memory`,
        );
      }
      files.set(path, await pageFile(name, await readFile(join(folder, path))));
    }
  };
  try {
    await read("");
  } catch (error) {
    throw new Error(`reading the page in ${folder}: ${reasonOf(error)}`);
  }
  return new PageFiles(files);
}

async function pageFile(name: string, bytes: Buffer): Promise<PageFile> {
  const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
  // Brotli's best quality, which is its default, is far slower for little gain (test/bench/README.md, "Compression of the page").
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 5,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength,
  };
  const compressed: Representation[] = [
    { coding: "br", bytes: await promisify(brotliCompress)(bytes, { params }), etag: `"${hash}-br"` },
    { coding: "gzip", bytes: await promisify(gzip)(bytes), etag: `"${hash}-gzip"` },
  ];
  return {
    type: typeOf(name),
    representations: [
      ...compressed.filter((one) => one.bytes.byteLength <= bytes.byteLength * WORTHWHILE),
      { bytes, etag: `"${hash}"` },
    ],
  };
}

function typeOf(name: string): string {
  const type = lookup(extname(name)) ?? "application/octet-stream";
  return /^text\/|javascript|json|xml/.test(type) ? `${type}; charset=utf-8` : type;
}

function chosen({ representations }: PageFile, accepted = ""): Representation {
  return representations.find(({ coding }) => !coding || accepts(accepted, coding))!;
}

/** Whether an Accept-Encoding header names a coding, and not with a weight of 0 (RFC 9110, section 12.5.3). */
function accepts(header: string, coding: string): boolean {
  return header.split(",").some((entry) => {
    const [name, ...parameters] = entry.toLowerCase().split(";");
    return name!.trim() === coding && !parameters.some((one) => /^\s*q\s*=\s*0(\.0*)?\s*$/.test(one));
  });
}

/** Whether an If-None-Match header names an ETag (RFC 9110, section 13.1.2). No ETag of ours has a comma in it. */
function isKnown(etag: string, header = ""): boolean {
  return header.split(",").some((one) => ["*", etag].includes(one.trim().replace(/^W\//, "")));
}

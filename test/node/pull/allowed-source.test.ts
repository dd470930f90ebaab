import fc from "fast-check";
import * as assert from "uvu/assert";
import { allowedRedirect, allowedSource } from "../../../src/node/pull/allowed-source.ts";
import { SourceError } from "../../../src/node/pull/source-error.ts";
import type { Source } from "../../../src/node/pull/sources.ts";
import { suite } from "../../suite.ts";

const tests = suite("URLs that may be fetched");

const source = (url: string, queries = false, addresses: readonly string[] = []): Source => ({
  url,
  queries,
  addresses,
});
const SOURCES = [
  source("https://mirror.example/iso/"),
  source("https://mirror.example/one.img"),
  source("https://store.example/signed/", true),
  source("http://mirror.example/iso/"),
  source("http://[fd00::5]:8080/", false),
  source("https://xn--bcher-kva.example/iso%20images/"),
];

/** What is said about a URL, or undefined if it may be fetched. */
function refusal(decide: () => unknown): string | undefined {
  try {
    decide();
    return undefined;
  } catch (error) {
    assert.instance(error, SourceError);
    return (error as SourceError).message;
  }
}

const ALLOWED: readonly [text: string, url?: string][] = [
  ["https://mirror.example/iso/a.iso"],
  ["https://mirror.example/iso/deep/er/a.iso"],
  ["https://mirror.example/iso/..a"],
  ["https://mirror.example/iso/a..b/.hidden"],
  ["https://mirror.example/iso/a;b.iso"],
  ["https://mirror.example/iso/a%20b%25.iso"],
  ["https://mirror.example/iso/grün.iso", "https://mirror.example/iso/gr%C3%BCn.iso"],
  ["https://mirror.example/one.img"],
  ["https://store.example/signed/a.iso"],
  ["https://store.example/signed/a.iso?X-Amz-Credential=A%2F2026%2Fs3&q=..%2e"],
  ["https://MIRROR.example:443/iso/a.iso", "https://mirror.example/iso/a.iso"],
  ["HTTPS://mirror.example/iso/a.iso", "https://mirror.example/iso/a.iso"],
  ["http://mirror.example:80/iso/a.iso", "http://mirror.example/iso/a.iso"],
  ["http://[FD00:0::5]:8080/a.iso", "http://[fd00::5]:8080/a.iso"],
  ["https://bücher.example/iso%20images/a.iso"],
];

tests("what is under a source may be fetched", () => {
  for (const [text, url] of ALLOWED) {
    assert.is(allowedSource(text, SOURCES).url.href, url ?? new URL(text).href, text);
  }
});

const NOT_UNDER = "under none of the";
const ENCODED = "is encoded";
const DOTS = 'segment "."';
const NO_URL = "not an http:// or https:// URL";
const REFUSED: readonly [text: string, why: string][] = [
  // Another origin.
  ["https://evil.example/iso/a.iso", NOT_UNDER],
  ["https://mirror.example.evil.example/iso/a.iso", NOT_UNDER],
  ["https://mirror.example./iso/a.iso", NOT_UNDER],
  ["https://mirror.example:8443/iso/a.iso", NOT_UNDER],
  ["http://mirror.example:443/iso/a.iso", NOT_UNDER],
  ["http://mirror.example/one.img", NOT_UNDER],
  ["http://[fd00::5]/a.iso", NOT_UNDER],
  ["http://[::ffff:10.0.0.1]/a.iso", NOT_UNDER],
  ["http://127.0.0.1/iso/a.iso", NOT_UNDER],
  ["http://2130706433/iso/a.iso", NOT_UNDER],
  ["http://0x7f.1/iso/a.iso", NOT_UNDER],
  ["http://localhost/iso/a.iso", NOT_UNDER],
  ["http://169.254.169.254/latest/meta-data", NOT_UNDER],
  // Another path.
  ["https://mirror.example/a.iso", NOT_UNDER],
  ["https://mirror.example/isolated/a.iso", NOT_UNDER],
  ["https://mirror.example/iso", NOT_UNDER],
  ["https://mirror.example/ISO/a.iso", NOT_UNDER],
  ["https://mirror.example/one.img/a", NOT_UNDER],
  ["https://mirror.example/one.img.gz", NOT_UNDER],
  ["https://mirror.example/iso/", "names a folder"],
  ["https://mirror.example/iso/sub/", "names a folder"],
  ["http://[fd00::5]:8080", "names a folder"],
  // Segments that are none.
  ["https://mirror.example/iso/../a.iso", DOTS],
  ["https://mirror.example/iso/sub/../../a.iso", DOTS],
  ["https://mirror.example/iso/sub/../a.iso", DOTS],
  ["https://mirror.example/iso/./a.iso", DOTS],
  ["https://mirror.example/iso/..", DOTS],
  ["https://mirror.example/iso/..;/a.iso", DOTS],
  ["https://mirror.example/iso/..;x=y/a.iso", DOTS],
  ["https://mirror.example/iso/../a.iso?q", DOTS],
  ["https://mirror.example/iso/;/a.iso", DOTS],
  ["https://mirror.example/iso/.;", DOTS],
  ["https://mirror.example/iso/;x", DOTS],
  ["https://mirror.example/iso//a.iso", "empty segment"],
  ["https://mirror.example//iso/a.iso", "empty segment"],
  // Encodings of what would be none.
  ["https://mirror.example/iso/%2e%2e/a.iso", ENCODED],
  ["https://mirror.example/iso/%2E./a.iso", ENCODED],
  ["https://mirror.example/iso/a%2eiso", ENCODED],
  ["https://mirror.example/iso/..%2fa.iso", ENCODED],
  ["https://mirror.example/iso/..%5Ca.iso", ENCODED],
  ["https://mirror.example/iso/%252e%252e/a.iso", ENCODED],
  ["https://mirror.example/iso/%25252fa.iso", ENCODED],
  ["https://mirror.example/iso/a%00.iso", ENCODED],
  ["https://mirror.example/iso/a%0d%0aHost:%20evil", ENCODED],
  ["https://mirror.example/iso/a%7f", ENCODED],
  ["https://mirror%2eexample/iso/a.iso", ENCODED],
  ["https://mirror.example%2f.evil.example/iso/a.iso", ENCODED],
  ["https://mirror.example/iso/%c0%ae%c0%ae/a.iso", "does not encode UTF-8"],
  ["https://mirror.example/iso/%u002e/a.iso", "does not encode UTF-8"],
  ["https://mirror.example/iso/a%", "does not encode UTF-8"],
  // What parsers mend, each in its way.
  ["https://mirror.example\\@evil.example/iso/a.iso", '"\\"'],
  ["https:\\\\mirror.example\\iso\\a.iso", '"\\"'],
  ["https://mirror.example/iso/..\\a.iso", '"\\"'],
  ["https://mirror.example/iso/a.iso\n", "blanks or control"],
  [" https://mirror.example/iso/a.iso", "blanks or control"],
  ["https://mirror.example/iso/.\t./a.iso", "blanks or control"],
  ["https://mirror.example/iso/a b.iso", "blanks or control"],
  ["https://mirror.example/iso/a\0.iso", "blanks or control"],
  ["https://mirror.example/iso/a\u200b.iso", "blanks or control"],
  ["https:/mirror.example/iso/a.iso", NO_URL],
  ["https:mirror.example/iso/a.iso", NO_URL],
  ["https:///mirror.example/iso/a.iso", NO_URL],
  ["//mirror.example/iso/a.iso", NO_URL],
  ["/iso/a.iso", NO_URL],
  ["", NO_URL],
  // Other schemes.
  ["file:///iso/a.iso", NO_URL],
  ["ftp://mirror.example/iso/a.iso", NO_URL],
  ["gopher://mirror.example/iso/a.iso", NO_URL],
  ["data:,a", NO_URL],
  ["blob:https://mirror.example/iso/a.iso", NO_URL],
  ["view-source:https://mirror.example/iso/a.iso", NO_URL],
  ["https://", NO_URL],
  ["https://mirror.example:99999/iso/a.iso", "not a valid URL"],
  ["https://[::1/iso/a.iso", "not a valid URL"],
  // Users, fragments, queries.
  ["https://user@mirror.example/iso/a.iso", "a user or a password"],
  ["https://user:secret@mirror.example/iso/a.iso", "a user or a password"],
  ["https://@mirror.example/iso/a.iso", "a user or a password"],
  ["https://mirror.example@evil.example/iso/a.iso", "a user or a password"],
  ["https://mirror.example/iso/a.iso#part", '"#"'],
  ["https://evil.example#@mirror.example/iso/a.iso", '"#"'],
  ["https://mirror.example/iso/a.iso?", "has a query"],
  ["https://mirror.example/iso/a.iso?secret=1", "has a query"],
  ["https://evil.example?@mirror.example/iso/a.iso", NOT_UNDER],
  [`https://mirror.example/iso/${"a".repeat(8192)}`, "more than 8192 characters"],
];

tests("all else is refused, in words", () => {
  for (const [text, why] of REFUSED) {
    const words = refusal(() => allowedSource(text, SOURCES));
    assert.ok(words?.includes(why), `${text}: ${words}`);
    assert.not.match(words!, /secret|[\n\t\0]/);
    assert.ok(words!.length < 600, text);
  }
});

tests("where there are no sources nothing may be fetched", () => {
  assert.match(refusal(() => allowedSource("https://mirror.example/iso/a.iso", []))!, NOT_UNDER);
});

tests("an origin has the addresses that are named beside any of its sources", () => {
  const sources = [
    source("http://nas.example/iso/"),
    source("http://nas.example/", false, ["10.0.0.5/32"]),
    source("https://nas.example/", false, ["10.0.0.6/32"]),
  ];
  assert.equal(allowedSource("http://nas.example/iso/a.iso", sources).addresses, ["10.0.0.5/32"]);
});

const FROM = "https://mirror.example/iso/a.iso";
const FOLLOWED: readonly [location: string, url: string, from?: string][] = [
  ["https://mirror.example/iso/b.iso", "https://mirror.example/iso/b.iso"],
  ["https://store.example/signed/b?X=1", "https://store.example/signed/b?X=1"],
  ["b.iso", "https://mirror.example/iso/b.iso"],
  ["sub/b.iso", "https://mirror.example/iso/sub/b.iso"],
  ["/iso/b.iso", "https://mirror.example/iso/b.iso"],
  ["//store.example/signed/b", "https://store.example/signed/b"],
  ["/iso/b.iso", "http://mirror.example/iso/b.iso", "http://mirror.example/iso/a.iso"],
  ["https://mirror.example/iso/b.iso", "https://mirror.example/iso/b.iso", "http://mirror.example/iso/a.iso"],
];

tests("a redirect to what may be fetched may be followed", () => {
  for (const [location, url, from = FROM] of FOLLOWED) {
    assert.is(allowedRedirect(new URL(from), location, SOURCES).url.href, url, location);
  }
});

const NOT_FOLLOWED: readonly [location: string, why: string][] = [
  ["http://mirror.example/iso/a.iso", "from https to http"],
  ["http://127.0.0.1/iso/a.iso", NOT_UNDER],
  ["//evil.example/iso/a.iso", NOT_UNDER],
  ["//user:secret@mirror.example/iso/a.iso", "a user or a password"],
  ["/a.iso", NOT_UNDER],
  ["/isolated/a.iso", NOT_UNDER],
  ["/iso/b.iso?secret", "has a query"],
  ["?secret", "has a query"],
  ["#part", '"#"'],
  ["..", DOTS],
  ["../iso/b.iso", DOTS],
  ["../a.iso", DOTS],
  ["./b.iso", DOTS],
  ["/iso//b.iso", "empty segment"],
  ["%2e%2e/b.iso", ENCODED],
  ["..%2fb.iso", ENCODED],
  ["\\\\evil.example\\b.iso", '"\\"'],
  ["/\\evil.example/b.iso", '"\\"'],
  ["/iso/b.iso\r\nHost: evil", "blanks or control"],
  ["https:b.iso", NO_URL],
  ["https:/iso/b.iso", NO_URL],
  ["file:///etc/passwd", NO_URL],
  ["javascript:1", NO_URL],
  ["//[", "not a valid URL"],
];

tests("any other redirect is refused, in words that say where it led", () => {
  for (const [location, why] of NOT_FOLLOWED) {
    const words = refusal(() => allowedRedirect(new URL(FROM), location, SOURCES)) ?? "";
    assert.ok(
      words.startsWith(`"${FROM}" is not fetched: it is redirected, and then "`),
      `${location}: ${words}`,
    );
    assert.ok(words.includes(why), `${location}: ${words}`);
    assert.not.match(words, /secret|[\r\n]/);
  }
});

/** What URLs are made of, and what is mistaken for it. */
const PIECE = fc.constantFrom(
  ...[
    "https:",
    "http:",
    "//",
    "/",
    "\\",
    "mirror.example",
    "evil.example",
    "@",
    ":",
    ":443",
    "iso",
    "iso/",
    "a.iso",
  ],
  ...[
    ".",
    "..",
    ";",
    "%",
    "%2e",
    "%2f",
    "%25",
    "2e",
    "%5c",
    "?",
    "#",
    " ",
    "\t",
    "é",
    "https://mirror.example/iso/",
  ],
);
const TEXT = fc.array(PIECE, { maxLength: 8 }).map((pieces) => pieces.join(""));

/** What is asked for, as it goes to the server: nothing in it may mean another place. */
function isSafe({ protocol, host, pathname, username, hash }: URL): boolean {
  const path = decodeURIComponent(
    decodeURIComponent(pathname.replace(/%(?![\da-f]{2})/gi, "%25")).replace(/%/g, "%25"),
  );
  const isUnder = host === "mirror.example" && (path.startsWith("/iso/") || path === "/one.img");
  return (
    /^https?:$/.test(protocol) && isUnder && !/\/\.{0,2}(\/|;|$)|\\/.test(path) && username + hash === ""
  );
}

tests("whatever a text is made of, only what is under a source is allowed", () => {
  const allowed: URL[] = [];
  const sources = SOURCES.filter(({ url }) => url.includes("mirror.example"));
  const judge = (decide: () => { url: URL }) => {
    const found: URL[] = [];
    refusal(() => found.push(decide().url));
    allowed.push(...found);
    return found.every(isSafe);
  };
  fc.assert(
    fc.property(TEXT, (text) => judge(() => allowedSource(`https://mirror.example/iso/${text}`, sources))),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(TEXT, (text) => judge(() => allowedSource(text, sources))),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(TEXT, (text) => judge(() => allowedRedirect(new URL(FROM), text, sources))),
    { numRuns: 3000 },
  );
  assert.ok(allowed.length > 100, `${allowed.length} were allowed`);
});

tests.run();

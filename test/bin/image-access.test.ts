/** What nbd-serve understands of the arguments about an image on a web server. */
import { chmod, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { imageAccess } from "../../bin/serve/image-access.ts";
import { type ImageValues, isUrl, shownImage } from "../../bin/serve/image-arguments.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import { failure } from "../bytes.ts";
import { pairOf } from "../certificates.ts";
import { Sandbox, suite } from "../harness.ts";

const tests = suite<{ sandbox: Sandbox }>("the arguments about an image on a web server");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const IMAGE = "https://files.example/disk.img";

async function fileOf(sandbox: Sandbox, contents: string): Promise<string> {
  const file = sandbox.path("file");
  await writeFile(file, contents, { mode: 0o600 });
  return file;
}

const access = (image: string, values: ImageValues, lines: string[] = []) =>
  imageAccess(image, values, (line) => lines.push(line));

tests("a URL is what begins with http:// or https://", () => {
  for (const url of ["http://a", "HTTPS://a/b"]) assert.is(isUrl(url), true);
  for (const path of ["./http://a", "http:a", "httpx://a", "a/https://b", "ftp://a"])
    assert.is(isUrl(path), false);
  assert.is(shownImage("https://ann:s3cret@files.example/a?s3cret#s3cret"), "https://files.example/a?…");
  assert.is(shownImage("a@b#c"), "a@b#c");
});

tests("headers are as they were given", async () => {
  const { headers } = await access(IMAGE, { header: ["X-A: b: c ", "Cookie:d=e", "X-Empty:"] });
  assert.equal(headers, { "X-A": "b: c ", Cookie: "d=e", "X-Empty": "" });
});

tests("the password is the first line of the file, of any letters", async ({ sandbox }) => {
  for (const end of ["", "\n", "\r\n", "\nmore"]) {
    const file = await fileOf(sandbox, `s3%41cret:@/ü ${end}`);
    const { url } = await access(IMAGE, { user: "ann@b", "password-file": file });
    assert.is(decodeURIComponent(url.username), "ann@b");
    assert.is(decodeURIComponent(url.password), "s3%41cret:@/ü ");
    assert.is((await access("https://ann@files.example/", { "password-file": file })).url.username, "ann");
  }
});

tests("a password over http is told of, unless it stays on this machine", async ({ sandbox }) => {
  const told = async (image: string, values: ImageValues = {}) => {
    const lines: string[] = [];
    await access(image, values, lines);
    return lines;
  };
  const header = ["authorization: s3cret"];
  for (const [image, values] of [
    ["http://ann:s3cret@files.example/a?s3cret", {}],
    ["http://files.example/a?s3cret", { header }],
    ["http://files.example/a?s3cret", { header: ["COOKIE: s3cret"] }],
  ] satisfies [string, ImageValues][]) {
    const words =
      "http://files.example/a?…: with http, others on the way can read the password, and change the image; use https";
    assert.equal(await told(image, values), [words]);
  }
  assert.equal(await told("https://ann:s3cret@files.example/a"), []);
  assert.equal(await told("http://ann:s3cret@127.0.0.1:8080/a"), []);
  assert.equal(await told("http://files.example/a"), []);
  assert.equal(
    await told("http://[::1]/a", { "password-file": await fileOf(sandbox, "x"), user: "ann" }),
    [],
  );
});

tests("authorities are those of the file", async ({ sandbox }) => {
  const { cert } = pairOf(["localhost"]);
  const file = await fileOf(sandbox, cert);
  assert.is((await access(IMAGE, { "image-ca": file })).ca, cert);
});

tests("what makes no sense is refused in words, without secrets", async ({ sandbox }) => {
  const file = await fileOf(sandbox, "\nsecond line");
  const cases: readonly (readonly [string, ImageValues, string])[] = [
    ["http://[::/a", {}, '"http://[::/a" is not a valid URL'],
    ["http://ann:s3cret@", {}, '"http://" is not a valid URL'],
    [IMAGE, { header: ["s3cret"] }, "--header: it is not like 'Name: value'"],
    [IMAGE, { header: ["s3 cret: x"] }, "--header: it is not like 'Name: value'"],
    [IMAGE, { header: ["X-A: s3cret", "x-a: s3cret"] }, "--header: x-a is there twice"],
    [IMAGE, { header: ["Range: s3cret"] }, "--header: nbd-serve sets Range itself"],
    [
      IMAGE,
      { header: ["authorization: s3cret"], user: "ann" },
      "--user and a header Authorization do not go together",
    ],
    [IMAGE, { user: "ann:s3cret" }, "--user: a name that is empty, or has a colon, cannot be sent"],
    [IMAGE, { user: "" }, "--user: a name that is empty, or has a colon, cannot be sent"],
    ...[{ user: "ann" }, { "password-file": file }].map(
      (values) =>
        [
          "https://ann:s3cret@files.example/a?s3cret",
          values,
          "https://files.example/a?…: the URL has a user already; leave --user and --password-file out",
        ] as const,
    ),
    [IMAGE, { "password-file": file }, "--password-file needs --user NAME"],
    [IMAGE, { user: "ann", "password-file": file }, "the password is empty"],
    [IMAGE, { user: "ann", "password-file": "/nowhere/a" }, "reading the password from /nowhere/a: "],
    ["http://files.example/", { "image-ca": file }, "--image-ca is for an https URL"],
    [IMAGE, { "image-ca": file }, `--image-ca ${file}: there is no certificate in PEM in it`],
  ];
  for (const [image, values, words] of cases) {
    const message = messageOf(await failure(access(image, values)));
    assert.is(message.slice(0, words.length), words);
    assert.not.match(message, /s3cret|second/);
  }
});

tests("a password that others can read is not used", async ({ sandbox }) => {
  const file = await fileOf(sandbox, "s3cret");
  await chmod(file, 0o644);
  const message = messageOf(await failure(access(IMAGE, { user: "ann", "password-file": file })));
  assert.match(message, /^reading the password from \S+: .*chmod/);
});

tests.run();

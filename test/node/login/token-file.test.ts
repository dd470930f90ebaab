/** The file of the token: who may read it, and what is in it. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { replacePrivateFile } from "../../../src/node/login/private-file.ts";
import {
  defaultTokenFile,
  readOrMakeToken,
  readToken,
  renewToken,
} from "../../../src/node/login/token-file.ts";
import { Sandbox, suite } from "../../harness.ts";

const tests = suite<{ folder: string; file: string }>("the file of the token");
tests.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), "nbd-proxy-token-"));
  context.file = join(context.folder, "state/nbd-proxy/token");
});
tests.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const modeOf = (path: string) => statSync(path).mode & 0o7777;
const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
};

tests("where it is", () => {
  assert.is(defaultTokenFile({ STATE_DIRECTORY: "/a:/b", XDG_STATE_HOME: "/c" }, 1), "/a/token");
  assert.is(defaultTokenFile({ STATE_DIRECTORY: "/a" }, 0), "/a/token");
  assert.is(defaultTokenFile({ XDG_STATE_HOME: "/c", HOME: "/d" }, 0), "/var/lib/nbd-proxy/token");
  assert.is(defaultTokenFile({ XDG_STATE_HOME: "/c" }, 1), "/c/nbd-proxy/token");
  const home = join(homedir(), ".local/state/nbd-proxy/token");
  assert.is(defaultTokenFile({ XDG_STATE_HOME: "c", STATE_DIRECTORY: "" }, 1), home);
});

tests("it is made once, for its user alone, whatever the umask", ({ folder, file }) => {
  const before = process.umask(0);
  try {
    const token = readOrMakeToken(file);
    assert.match(token, /^[\w-]{43}$/);
    assert.is(readFileSync(file, "utf8"), `${token}\n`);
    assert.is(readOrMakeToken(file), token);
    assert.is(modeOf(file), 0o600);
    assert.is(modeOf(join(folder, "state/nbd-proxy")), 0o700);
    assert.equal(readdirSync(join(folder, "state/nbd-proxy")), ["token"]);
    renewToken(file);
    assert.is.not(readToken(file), token);
    assert.is(modeOf(file), 0o600);
    assert.equal(readdirSync(join(folder, "state/nbd-proxy")), ["token"]);
  } finally {
    process.umask(before);
  }
});

tests("several that begin at once get the same", async ({ file }) => {
  const sandbox = new Sandbox();
  try {
    const module = new URL("../../../src/node/login/token-file.ts", import.meta.url).href;
    const script = `import(${JSON.stringify(module)}).then((m) => process.stdout.write(m.readOrMakeToken(${JSON.stringify(file)})))`;
    const args = ["--import", import.meta.resolve("tsx"), "-e", script];
    const tokens = await Promise.all(Array.from({ length: 6 }, () => sandbox.run(process.execPath, args)));
    assert.equal(new Set(tokens), new Set([readToken(file)]));
  } finally {
    await sandbox.end();
  }
});

for (const [what, spoil, words] of [
  [
    "others can read it",
    (file) => chmodSync(file, 0o604),
    /: others can use it; "chmod 600 \S+" mends that$/,
  ],
  ["its group can read it", (file) => chmodSync(file, 0o640), /: others can use it; "chmod 600 /],
  [
    "others can write to its folder",
    (file) => chmodSync(join(file, ".."), 0o702),
    /can be written by everybody; "chmod go-w /,
  ],
  ["its group can write to its folder", (file) => chmodSync(join(file, ".."), 0o720), /; "chmod g(o)?-w /],
  [
    "its folder is like /tmp",
    (file) => chmodSync(join(file, ".."), 0o1777),
    /its folder \S+ is open to others; "chmod 700 /,
  ],
  [
    "others can look into its folder",
    (file) => chmodSync(join(file, ".."), 0o755),
    /: its folder (\S+) is open to others; "chmod 700 \1" mends that$/,
  ],
  [
    "its group can look into its folder",
    (file) => chmodSync(join(file, ".."), 0o750),
    /: its folder \S+ is open to others; "chmod 700 /,
  ],
  [
    "it is a symbolic link",
    (file) => {
      writeFileSync(`${file}2`, readFileSync(file), { mode: 0o600 });
      rmSync(file);
      symlinkSync(`${file}2`, file);
    },
    /: it is a symbolic link; name the file itself$/,
  ],
  [
    "it is a symbolic link to nothing",
    (file) => {
      rmSync(file);
      symlinkSync(`${file}2`, file);
    },
    /: it is a symbolic link; name the file itself$/,
  ],
  [
    "it is a folder",
    (file) => {
      rmSync(file);
      mkdirSync(file, { mode: 0o700 });
    },
    /: it is not a file$/,
  ],
  ["it is empty", (file) => writeFileSync(file, ""), /: there is no token in it$/],
  [
    "it is short",
    (file) => writeFileSync(file, "SECRET-SECRET-SECRET"),
    /: a token is one line of 43 to 512 /,
  ],
  [
    "it has two lines",
    (file) => writeFileSync(file, `${"SECRET".repeat(8)}\nSECRET\n`),
    /: a token is one line /,
  ],
  ["it has blanks", (file) => writeFileSync(file, ` ${"SECRET".repeat(8)}`), /: a token is one line /],
  ["it is long", (file) => writeFileSync(file, "SECRET".repeat(1000)), /: it has more than 1024 bytes$/],
] as [string, (file: string) => void, RegExp][]) {
  tests(`refused, in one line: ${what}`, ({ file }) => {
    readOrMakeToken(file);
    spoil(file);
    for (const work of [() => readToken(file), () => readOrMakeToken(file)]) {
      const message = messageOf(work);
      assert.match(message, words);
      assert.ok(message.includes(` the token file ${file}: `), message);
      assert.not.match(message, /SECRET|\n/);
    }
    assert.not.ok(existsSync(`${file}2`) && what.endsWith("nothing"), "nothing is made where a link points");
  });
}

tests("systemd makes its folder with the mode of the unit, which the words name", ({ file }) => {
  readOrMakeToken(file);
  const folder = join(file, "..");
  chmodSync(folder, 0o755);
  const before = process.env.STATE_DIRECTORY;
  process.env.STATE_DIRECTORY = `/elsewhere:${folder}`;
  try {
    const message = messageOf(() => readOrMakeToken(file));
    assert.match(message, /is open to others; StateDirectoryMode=0700 in the unit mends that$/);
  } finally {
    if (before === undefined) delete process.env.STATE_DIRECTORY;
    else process.env.STATE_DIRECTORY = before;
  }
});

tests("what cannot be put into its place leaves nothing beside it", ({ file }) => {
  readOrMakeToken(file);
  const folder = join(file, "..");
  const other = join(folder, "other");
  mkdirSync(other, { mode: 0o700 });
  messageOf(() => replacePrivateFile(other, "SECRET", true));
  assert.equal(readdirSync(folder).sort(), ["other", "token"]);
});

tests("a folder that cannot be made is told in one line, and not tried for ever", () => {
  const file = "/proc/nowhere/deep/token";
  for (const work of [() => readOrMakeToken(file), () => renewToken(file)])
    assert.match(
      messageOf(work),
      /the token file \/proc\/nowhere\/deep\/token: no folder can be made in \/proc$/,
    );
});

if (process.geteuid?.() === 0) {
  tests("refused: its folder belongs to another user", ({ file }) => {
    readOrMakeToken(file);
    chownSync(join(file, ".."), 12345, 12345);
    assert.match(
      messageOf(() => readToken(file)),
      /folder \S+ belongs to user \d+, and not to you; use a folder of your own$|belongs to user \d+, who is neither/,
    );
  });

  tests("refused: it belongs to another user", ({ file }) => {
    readOrMakeToken(file);
    chownSync(file, 12345, 12345);
    assert.match(
      messageOf(() => readToken(file)),
      /: it belongs to user 12345, and not to you; /,
    );
  });

  const asRoot = { asRoot: true };
  const OWNER = 64000;
  /** The token of a service, which has a user of its own. */
  const ofService = (file: string) => {
    const token = readOrMakeToken(file);
    for (const path of [join(file, ".."), file]) chownSync(path, OWNER, OWNER);
    return token;
  };
  const ownerOf = ({ uid, gid, mode }: Stats) => [uid, gid, mode & 0o7777];

  tests("root may use that of another user where root asks for something, and nowhere else", ({ file }) => {
    const token = ofService(file);
    assert.is(readToken(file, asRoot), token);
    for (const work of [() => readToken(file), () => readOrMakeToken(file), () => renewToken(file)])
      assert.match(messageOf(work), /belongs to user 64000/);
    assert.is(readToken(file, asRoot), token);
  });

  tests("a new one that root makes belongs to the owner of the one before", ({ file }) => {
    const token = ofService(file);
    renewToken(file, asRoot);
    assert.is.not(readToken(file, asRoot), token);
    assert.equal(ownerOf(lstatSync(file)), [OWNER, OWNER, 0o600]);
    assert.equal(readdirSync(join(file, "..")), ["token"]);
  });

  tests(
    "what its owner links there is neither read by root, nor written, nor given away",
    ({ folder, file }) => {
      const another = join(folder, "roots");
      writeFileSync(another, `${"S".repeat(43)}\n`, { mode: 0o600 });
      for (const link of [linkSync, symlinkSync]) {
        const token = ofService(file);
        rmSync(file);
        link(another, file);
        const message = messageOf(() => readToken(file, asRoot));
        assert.match(
          message,
          /it is a symbolic link|: it belongs to user 0, and not to user 64000, as its folder/,
        );
        renewToken(file, asRoot);
        assert.is(readFileSync(another, "utf8"), `${"S".repeat(43)}\n`);
        assert.equal(ownerOf(lstatSync(another)), [0, 0, 0o600]);
        assert.equal(ownerOf(lstatSync(file)), [OWNER, OWNER, 0o600]);
        assert.is.not(readToken(file, asRoot), token);
        rmSync(join(file, ".."), { recursive: true });
      }
    },
  );

  tests("root is led to nobody else by a link of another user", ({ folder, file }) => {
    ofService(file);
    const roots = join(folder, "roots");
    mkdirSync(roots, { mode: 0o700 });
    const lead = (owner: number) => {
      chownSync(roots, owner, owner);
      const link = join(folder, `link-to-${owner}`);
      symlinkSync(roots, link);
      lchownSync(link, OWNER, OWNER);
      return join(link, "token");
    };
    for (const owner of [0, 12345]) {
      const path = lead(owner);
      for (const work of [() => readToken(path, asRoot), () => renewToken(path, asRoot)])
        assert.match(messageOf(work), /belongs to user \d+/);
      assert.equal(readdirSync(roots), []);
    }
    // Where a user leads to a folder of the same user, only that user has the outcome.
    renewToken(lead(OWNER), asRoot);
    assert.equal(ownerOf(lstatSync(join(roots, "token"))), [OWNER, OWNER, 0o600]);
  });

  tests("root makes no folder in one of another user", ({ folder, file }) => {
    ofService(file);
    const path = join(file, "../deep/token");
    assert.match(
      messageOf(() => renewToken(path, asRoot)),
      /belongs to user 64000, who is neither root/,
    );
    assert.equal(readdirSync(join(file, "..")), ["token"]);
    assert.equal(readdirSync(folder), ["state"]);
  });

  for (const [what, spoil, words] of [
    [
      "it belongs to a third user",
      (file) => chownSync(file, 12345, OWNER),
      /to user 12345, and not to user 64000/,
    ],
    ["others can look into its folder", (file) => chmodSync(join(file, ".."), 0o750), /is open to others/],
    ["its group can read it", (file) => chmodSync(file, 0o640), /: others can use it/],
    [
      "a folder above belongs to a third user",
      (file) => chownSync(join(file, "../.."), 12345, 12345),
      /belongs to user 12345, who is neither/,
    ],
    [
      "its folder is root's",
      (file) => chownSync(join(file, ".."), 0, 0),
      /: it belongs to user 64000, and not to you; /,
    ],
  ] as [string, (file: string) => void, RegExp][]) {
    tests(`refused by root too: ${what}`, ({ file }) => {
      ofService(file);
      spoil(file);
      assert.match(
        messageOf(() => readToken(file, asRoot)),
        words,
      );
    });
  }
}

tests.run();

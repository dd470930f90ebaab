/** The C library that the fuzzer's native part was built for, where this machine's is older: see .ci/unpack-glibc. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const NEEDED = [2, 38] as const;

const folder = join(
  process.env.XDG_CACHE_HOME || join(homedir(), ".cache"),
  `nbd-proxy/glibc-trixie-${process.arch}`,
);

/** Whether Node can be started with a C library that is new enough. */
export const isGlibcThere = () => isNewEnough() || existsSync(folder);

/** What to start Node with: its own path, or the newer library's loader and Node's path. */
export function nodeCommand(): string[] {
  if (isNewEnough()) return [process.execPath];
  if (!existsSync(folder)) throw new Error("the C library is too old for the fuzzer: run .ci/unpack-glibc");
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const libraries = [join(folder, "usr/lib", triplet), join(folder, "usr/lib64")];
  const loader = libraries
    .filter((path) => existsSync(path))
    .flatMap((path) =>
      readdirSync(path)
        .filter((name) => /^ld-linux-.*\.so/.test(name))
        .map((name) => join(path, name)),
    )[0];
  if (!loader) throw new Error(`${folder} has no loader; remove the folder and run .ci/unpack-glibc`);
  return [loader, "--library-path", libraries.join(":"), process.execPath];
}

function isNewEnough(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? "0.0").split(".").map(Number);
  return process.platform !== "linux" || major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}

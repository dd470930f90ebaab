/**
 * The C library that the fuzzer's native part was built for, where this machine's is older (Debian 12 has 2.36, it wants
 * 2.38): Debian 13's, unpacked in a cache folder, signatures checked by apt, nothing of the machine's own touched.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const NEEDED = [2, 38] as const;
const RELEASE = "trixie";
const PACKAGES = ["libc6", "libstdc++6", "libgcc-s1"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** What to start Node with: its own path, or the newer library's loader and Node's path. */
export function nodeCommand(): string[] {
  if (process.platform !== "linux" || !isOld(hostVersion())) return [process.execPath];
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = join(cache, "nbd-proxy", `glibc-${RELEASE}-${process.arch}`);
  if (!existsSync(folder)) unpackInto(folder);
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const libraries = [join(folder, "usr/lib", triplet), join(folder, "usr/lib64")];
  const loader = libraries
    .filter((path) => existsSync(path))
    .flatMap((path) =>
      readdirSync(path)
        .filter((name) => /^ld-linux-.*\.so/.test(name))
        .map((name) => join(path, name)),
    )[0];
  if (!loader) throw new Error(`${folder} has no loader; remove the folder and try again`);
  return [loader, "--library-path", libraries.join(":"), process.execPath];
}

function hostVersion(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? "0.0";
}

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]);
}

/** Downloads and unpacks the packages with a configuration of apt that is all this folder's own. */
function unpackInto(folder: string) {
  const work = `${folder}.${process.pid}`;
  try {
    for (const path of ["lists/partial", "archives/partial", "root"])
      mkdirSync(join(work, path), { recursive: true });
    const sources = join(work, "sources.list");
    writeFileSync(sources, `deb [signed-by=${KEYRING}] ${mirror()} ${RELEASE} main\n`);
    writeFileSync(join(work, "status"), "");
    const settings = {
      "Dir::Etc::SourceList": sources,
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::State::Lists": join(work, "lists"),
      "Dir::State::Status": join(work, "status"),
      "Dir::Cache": work,
      "Dir::Cache::pkgcache": "",
      "Dir::Cache::srcpkgcache": "",
      "APT::Sandbox::User": "",
    };
    const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    const apt = (...args: string[]) =>
      execFileSync("apt-get", [...options, "--quiet", ...args], {
        cwd: work,
        stdio: ["ignore", "ignore", "inherit"],
      });
    apt("update");
    apt("download", ...PACKAGES);
    for (const file of readdirSync(work).filter((name) => name.endsWith(".deb"))) {
      execFileSync("dpkg-deb", ["--extract", join(work, file), join(work, "root")]);
    }
    renameSync(join(work, "root"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where this machine has its own packages from. */
function mirror(): string {
  const format = ["indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"];
  const lines = execFileSync("apt-get", format, { encoding: "utf8" }).split("\n");
  const main = lines.find((line) => / main$/.test(line) && !/security/.test(line));
  if (!main) throw new Error("apt has no source of Debian's packages to fetch a newer C library from");
  return main.split(" ")[0]!;
}

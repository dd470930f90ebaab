/** Builds the programs that tests run, where a source is newer than what was built of it. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const BUILT = "dist/bin/nbd-proxy.js";
const SOURCES = ["src", "bin", "web"];

function isOutdated() {
  if (!existsSync(BUILT)) return true;
  const { mtimeMs } = statSync(BUILT);
  return SOURCES.some((folder) =>
    readdirSync(folder, { recursive: true }).some((file) => statSync(join(folder, file)).mtimeMs > mtimeMs),
  );
}

/** Throws where the build fails. */
export function buildIfOutdated() {
  if (!isOutdated()) return;
  const { status, stdout, stderr } = spawnSync("npm", ["run", "build"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`npm run build failed\n${stdout}${stderr}`);
}

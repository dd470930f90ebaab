/** The package as npm packs and installs it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, type Sandbox } from "./harness.ts";

export interface Installed {
  /** A project that has it as its only dependency. */
  project: string;
  /** Where it lies in there. */
  packed: string;
}

/** Packs what was built, and installs it in a project of its own. */
export async function installPacked(sandbox: Sandbox): Promise<Installed> {
  const project = sandbox.path("project");
  mkdirSync(project);
  // What is packed is the build that the other tests run; a second one would get in their way.
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", sandbox.folder];
  const [{ filename }] = JSON.parse(await sandbox.run("npm", pack, { cwd: root })) as [{ filename: string }];
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", sandbox.path(filename)];
  await sandbox.run("npm", install, { cwd: project });
  return { project, packed: join(project, "node_modules/nbd-proxy") };
}

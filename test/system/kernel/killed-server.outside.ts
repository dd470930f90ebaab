/** Runs outside of the machine, beside killed-server.uml.ts: see beside-killed-server.ts. */
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Sandbox, until } from "../../harness.ts";
import { losingServe } from "../resume/altered-serve.ts";
import { KilledAgain } from "../resume/killed-again.ts";
import { FILES, SIZE } from "./beside-killed-server.ts";

/** Milliseconds between two kills, and that the machine may take. */
const INTERVAL = 3000;
const PATIENCE = 600_000;

const folder = process.argv[2]!;
const [url, stay, image] = [FILES.url, FILES.stay, FILES.image].map((name) => join(folder, name));
const sandbox = new Sandbox();
const script = await losingServe(sandbox);
writeFileSync(image!, "");
truncateSync(image!, SIZE);
await until("a gateway listens", () => existsSync(url!) && readFileSync(url!, "utf8") !== "", PATIENCE);
const args = ["--writable", image!, readFileSync(url!, "utf8")];
const server = KilledAgain.serving(sandbox, script, args, INTERVAL);
await until("it may stay", () => existsSync(stay!), PATIENCE);
const last = await server.stay();
writeFileSync(join(folder, FILES.kills), `${server.kills}`);
await last.exit;
await sandbox.end();

import { Sandbox } from "../harness.ts";
import { startPath } from "./path.ts";

const sandbox = new Sandbox();
const { uri, gateway, serve } = await startPath(sandbox, Number(process.argv[2] ?? 256));
console.log(JSON.stringify({ uri, gateway: gateway.pid, serve: serve.pid }));
process.stdin.resume();
process.stdin.on("end", () => sandbox.end());

/** What is replaced, and what replaces it, in turn: see replaced.ts. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { program, type Running, root, Sandbox, until } from "../harness.ts";
import { forkRelay } from "../relay.ts";
import { startWebsocketd } from "../websocketd.ts";
import { median } from "./median.ts";
import { makeImage, memory } from "./path.ts";

/** What is measured of a way: MB/s, reads a second, and the most memory that its processes had, in MiB. */
const FIGURES = ["first copy", "third copy", "random 1", "random 16", "there", "serving"] as const;
type Figures = Record<(typeof FIGURES)[number], number>;

/** The processes of a way: on the machine that gets the disk, and on the one that has the image. */
interface Way {
  there: readonly number[];
  serving: number;
}

/** Lines that the client prints. */
const STEPS = 5;

interface Scene {
  sandbox: Sandbox;
  image: string;
  /** The unix socket that the client is to find. */
  socket: string;
  roundTrip: number;
}

/** Where a WebSocket goes, through a link of some length, and the origin of a page that comes from there. */
async function placeOf(url: string, { sandbox, roundTrip }: Scene): Promise<[url: string, origin: string]> {
  let { port } = new URL(url);
  if (roundTrip > 0) {
    const relay = await forkRelay({ listen: 0, to: Number(port), roundTrip });
    sandbox.onEnd(() => relay.close());
    port = String(relay.place);
  }
  return [`ws://127.0.0.1:${port}/`, `http://127.0.0.1:${port}`];
}

async function underWebsocketd(
  scene: Scene,
  command: readonly string[],
  serve: (url: string, origin: string) => Running,
): Promise<Way> {
  const websocketd = await startWebsocketd(scene.sandbox, command);
  const serving = serve(...(await placeOf(websocketd.endpoint, scene)));
  await until("the export is offered", () => existsSync(scene.socket), 120_000);
  const { pid } = websocketd;
  // By whichever of its threads they were started.
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "ascii").trim().split(" ").filter(Boolean).map(Number),
  );
  return { there: [pid, ...children], serving: serving.pid };
}

function config({ sandbox, socket }: Scene): string {
  const file = sandbox.path("config.json");
  writeFileSync(file, JSON.stringify({ configurations: { bench: { listen: `unix:${socket}` } } }));
  return file;
}

const plainly =
  ({ sandbox, image }: Scene) =>
  (url: string, origin: string) =>
    sandbox.start(process.execPath, [join(root, "test/first-generation-server.js"), image, url, "0", origin]);
const ours =
  ({ sandbox, image }: Scene) =>
  (url: string, origin: string) =>
    sandbox.start(program("nbd-serve"), ["--origin", origin, image, url]);
const proxy = (scene: Scene) => [program("nbd-proxy"), "--config", config(scene)];

const WAYS: Record<string, (scene: Scene) => Promise<Way>> = {
  "relay, first-generation server": (scene) =>
    underWebsocketd(scene, ["socat", "-b", "262144", "-", `UNIX-LISTEN:${scene.socket}`], plainly(scene)),
  "nbd-proxy, first-generation server": (scene) => underWebsocketd(scene, proxy(scene), plainly(scene)),
  "nbd-proxy, nbd-serve": (scene) => underWebsocketd(scene, proxy(scene), ours(scene)),
  async "nbd-gateway, nbd-serve"(scene) {
    const { sandbox, socket } = scene;
    const args = ["--config", config(scene), "--port", "0", "--no-auth"];
    const gateway = sandbox.start(program("nbd-gateway"), args);
    await until("the gateway listens", () => gateway.stdout.includes("\n"), 120_000);
    const serving = ours(scene)(...(await placeOf(gateway.stdout.trim().replace("http", "ws"), scene)));
    await until("the export is offered", () => existsSync(socket), 120_000);
    return { there: [gateway.pid], serving: serving.pid };
  },
};

async function measure(start: (scene: Scene) => Promise<Way>, image: string, roundTrip: number) {
  const sandbox = new Sandbox();
  try {
    const socket = sandbox.path("nbd.sock");
    const { there, serving } = await start({ sandbox, image, socket, roundTrip });
    const uri = `nbd+unix:///?socket=${socket}`;
    const client = join(root, "test/bench/client.py");
    const running = sandbox.start("/usr/bin/python3", [client, uri, "3"], { wire: true });
    const lines = createInterface({ input: running.process.stdout! });
    const told: { copy?: number; random?: number }[] = [];
    for await (const line of lines) {
      told.push(JSON.parse(line));
      if (told.length === STEPS) break;
    }
    const [first, , third] = told.flatMap(({ copy }) => copy ?? []);
    const [random1, random16] = told.flatMap(({ random }) => random ?? []);
    const most = there.reduce((sum, pid) => sum + memory(pid, "VmHWM"), 0);
    const all = [first, third, random1, random16, most, memory(serving, "VmHWM")];
    return Object.fromEntries(FIGURES.map((name, i) => [name, all[i]])) as Figures;
  } finally {
    await sandbox.end();
  }
}

/** Measures all ways in turn, and prints what each gives, and by how many times that is what the first gives. */
export async function compareWays(rounds: number, roundTrip: number, mebibytes: number): Promise<void> {
  const own = new Sandbox();
  try {
    const image = makeImage(own, mebibytes);
    const all = new Map<string, Figures[]>(Object.keys(WAYS).map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, start] of Object.entries(WAYS)) {
        const figures = await measure(start, image, roundTrip);
        all.get(name)!.push(figures);
        console.log(
          `${name}: ${FIGURES.map((figure) => `${figure} ${figures[figure].toFixed(0)}`).join(", ")}`,
        );
      }
    }
    const [replaced] = all.values();
    console.log(`medians of ${rounds}, and by how many times they are those of the first way:`);
    for (const [name, rows] of all) {
      const cells = FIGURES.map((figure) => {
        const value = median(rows.map((row) => row[figure]));
        const ratio = median(rows.map((row, i) => row[figure] / replaced![i]![figure]));
        return `${figure} ${value.toFixed(0)} (${ratio.toFixed(2)})`;
      });
      console.log(`${name}: ${cells.join(", ")}`);
    }
  } finally {
    await own.end();
  }
}

/** Runs outside of the machine: see kernel-distance.ts. */
import { Sandbox } from "../harness.ts";
import type { Relay } from "../relay.ts";
import { NETWORK } from "../system/kernel/beside.ts";
import { linkTo, serveOver, servePlainly } from "./far-link.ts";
import { fulfil, type Wish } from "./far-side.ts";
import { makeImage } from "./path.ts";

const image = makeImage(new Sandbox(), 256);
const here = { host: NETWORK.beside, port: 0 };

function begin({ what, link, gateway }: Wish, sandbox: Sandbox): Promise<Relay> {
  if (what === "plain server") return servePlainly(link, sandbox, image, here);
  if (what === "nbd-serve")
    return serveOver(link, sandbox, image, { host: NETWORK.loopback, port: gateway! });
  return linkTo(link, sandbox, here, (socket) =>
    sandbox.start("socat", ["-u", "-b", "131072", `OPEN:${image}`, `UNIX-LISTEN:${socket}`]),
  );
}

let end = async () => {};
await fulfil(
  async (wish) => {
    const sandbox = new Sandbox();
    const relay = await begin(wish, sandbox);
    end = async () => {
      await relay.close();
      await sandbox.end();
    };
    return Number(relay.place);
  },
  () => end(),
);

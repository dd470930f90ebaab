/** Runs outside of the machine: see kernel-distance.ts. */
import { Sandbox } from "../harness.ts";
import type { Relay } from "../relay.ts";
import { NETWORK } from "../system/kernel/beside.ts";
import { linkTo, serveOver, servePlainly } from "./far-link.ts";
import { answerMachine, type FarEnd } from "./far-side.ts";
import { makeImage } from "./path.ts";

const image = makeImage(new Sandbox(), 256);
const here = { host: NETWORK.beside, port: 0 };

function begin({ what, link, gateway }: FarEnd, sandbox: Sandbox): Promise<Relay> {
  if (what === "plain server") return servePlainly(link, sandbox, image, here);
  if (what === "nbd-serve")
    return serveOver(link, sandbox, image, { host: NETWORK.loopback, port: gateway! });
  return linkTo(link, sandbox, here, (socket) =>
    sandbox.start("socat", ["-u", "-b", "131072", `OPEN:${image}`, `UNIX-LISTEN:${socket}`]),
  );
}

const nothing = async () => {};
let end = nothing;
await answerMachine(
  async (farEnd) => {
    const sandbox = new Sandbox();
    end = () => sandbox.end();
    const relay = await begin(farEnd, sandbox);
    end = async () => {
      await relay.close();
      await sandbox.end();
    };
    return Number(relay.place);
  },
  async () => {
    const last = end;
    end = nothing;
    await last();
  },
);

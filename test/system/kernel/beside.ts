import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Sandbox } from "../../harness.ts";
import type { Machine } from "./machine.ts";
import { contained, linuxCommand, userModeLinux } from "./user-mode-linux.ts";

/** The network between a machine and what runs beside it, which has nothing else in it. */
export const NETWORK = {
  /** The address of what runs beside it. */
  beside: "10.0.0.1",
  /** The machine's address, on the interface `vec0`. */
  machine: "10.0.0.2",
  /** The machine's too, a loopback address: a gateway listens on no others. */
  loopback: "127.0.0.2",
};

/** A long packet costs an emulated processor hardly more than a short one. */
const LONGEST_PACKET = 65000;

/** The setting that lets packets to and from loopback addresses through an interface. */
const routeLocalnet = (name: string) => `/proc/sys/net/ipv4/conf/${name}/route_localnet`;

/**
 * User-Mode Linux with programs outside of it, where they are many times faster, in a network namespace with both.
 * @param commands a shell script that starts them in the background
 */
export const beside = (commands: (sandbox: Sandbox) => string): Machine => ({
  ...userModeLinux,
  boot(sandbox, init, memory) {
    const script = `
set -e
ip link set lo up
ip tuntap add tap0 mode tap
ip address add ${NETWORK.beside}/24 dev tap0
ip link set tap0 mtu ${LONGEST_PACKET} up
echo 1 > ${routeLocalnet("tap0")}
ip route add ${NETWORK.loopback} dev tap0 table local
${commands(sandbox)}
${linuxCommand(sandbox, init, memory)} vec0:transport=tap,ifname=tap0,depth=128,gro=1,mtu=${LONGEST_PACKET}
exit $?
`;
    return sandbox.start(...contained(script, "--net"));
  },
});

/** Connects the machine that this runs in with what runs beside it. */
export function joinNetwork(): void {
  execFileSync("ip", ["address", "add", `${NETWORK.machine}/24`, "dev", "vec0"]);
  execFileSync("ip", ["link", "set", "vec0", "up"]);
  writeFileSync(routeLocalnet("vec0"), "1");
}

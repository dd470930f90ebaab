/** A PC boots a CD while its link is cut again and again. */
import * as assert from "uvu/assert";
import { busyboxCd } from "../../bench/bootable.ts";
import { bootFrom } from "../../bench/emulated-pc.ts";
import { needing, Sandbox, suite } from "../../harness.ts";
import { isLinuxUnpacked } from "../kernel/emulator.ts";
import { throughRelay } from "./through-relay.ts";

const tests = suite("a PC boots over a link that is cut");

/** How often the link is cut, and the bytes after which it is cut the next time: a part of what the boot reads. */
const CUTS = 5;
const BETWEEN = 1 << 20;

/** Milliseconds between two looks, and that the boot may take. */
const LOOK = 20;
const TOO_LONG = 300_000;

const programs = ["qemu-system-x86_64", "grub-mkrescue", "xorriso", "mformat", "busybox"];
const unpacked = isLinuxUnpacked() ? [] : ["linux-image-amd64 (unpacked by .ci/unpack-linux)"];

needing(tests, [...programs, ...unpacked])(`${CUTS} cuts: it reaches user space`, async () => {
  const sandbox = new Sandbox();
  let cutting: NodeJS.Timeout | undefined;
  try {
    const { iso, line } = busyboxCd(sandbox);
    const { gateway, relay, socket } = await throughRelay(sandbox, iso, { keys: { resume: 120 } });
    let [cuts, next] = [0, relay.bytes + BETWEEN];
    cutting = setInterval(() => {
      if (cuts === CUTS || relay.bytes < next) return;
      relay.cut();
      cuts++;
      next = relay.bytes + BETWEEN;
    }, LOOK);
    const time = await bootFrom(sandbox, socket, line, TOO_LONG);
    assert.ok(time !== undefined, `no line of user space in ${TOO_LONG} ms: ${gateway.stderr}`);
    assert.is(cuts, CUTS);
    assert.is(gateway.stderr.match(/the link is back/g)?.length, CUTS);
  } finally {
    clearInterval(cutting);
    await sandbox.end();
  }
});

tests.run();

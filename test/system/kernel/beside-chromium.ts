import { chromiumSwitches } from "../../browser.ts";
import { beside, NETWORK } from "./beside.ts";

/** The port of Chromium's DevTools protocol. */
export const DEV_TOOLS = 9222;

/**
 * User-Mode Linux with a Chromium outside of it, where it is many times faster. What Chromium asks of 127.0.0.1 it asks
 * of the machine.
 */
export const besideChromium = beside((sandbox) => {
  const chromium = [
    "chromium",
    "--headless",
    ...chromiumSwitches,
    `--user-data-dir=${sandbox.path("profile")}`,
    `--remote-debugging-port=${DEV_TOOLS}`,
    `--host-resolver-rules='MAP 127.0.0.1 ${NETWORK.machine}'`,
  ];
  return `
socat TCP-LISTEN:${DEV_TOOLS},bind=${NETWORK.beside},fork TCP:127.0.0.1:${DEV_TOOLS} &
${chromium.join(" ")} &
`;
});

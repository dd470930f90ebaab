import { startChromium } from "../page/chromium.ts";
import { flows } from "../page/flows.ts";

const tests = flows("Chromium", { programs: ["chromium"], start: startChromium, hasAxe: true });

tests.run();

import { startChromium } from "../page/chromium.ts";
import { flows } from "../page/flows.ts";

flows("Chromium", { programs: ["chromium"], start: startChromium, hasAxe: true });

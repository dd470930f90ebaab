import { startChromium } from "../page/chromium.ts";
import { urlFlows } from "../page/url-flows.ts";

const tests = urlFlows("Chromium", { programs: ["chromium"], start: startChromium });

tests.run();

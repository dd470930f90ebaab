import { startFirefox } from "../page/firefox.ts";
import { urlFlows } from "../page/url-flows.ts";

const tests = urlFlows("Firefox", { programs: ["firefox-esr"], start: startFirefox });

tests.run();

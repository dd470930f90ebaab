import { startFirefox } from "../page/firefox.ts";
import { flows } from "../page/flows.ts";

const tests = flows("Firefox", { programs: ["firefox-esr"], start: startFirefox });

tests.run();

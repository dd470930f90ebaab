import { startFirefox } from "../page/firefox.ts";
import { flows } from "../page/flows.ts";

flows("Firefox", { programs: ["firefox-esr"], start: startFirefox });

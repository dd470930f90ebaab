import { flows } from "../page/flows.ts";
import { startWebKit } from "../page/webkit.ts";

flows("WebKit", { programs: ["WebKitWebDriver", "Xvfb"], start: startWebKit });

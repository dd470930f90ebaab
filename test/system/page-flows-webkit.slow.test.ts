import { flows } from "../page/flows.ts";
import { startWebKit } from "../page/webkit.ts";

const tests = flows("WebKit", { programs: ["WebKitWebDriver", "Xvfb"], start: startWebKit });

tests.run();

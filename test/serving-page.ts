/** A page without a face that serves by the engine, for browsers; and what a browser's driver can do with it. */
import { cp, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { type Browser as Firefox, launch } from "puppeteer-core";
import { openChromium } from "./browser.ts";
import { root } from "./harness.ts";

/** What the page's script does: `serveIn(endpoint, options)` serves the chosen file; `seen` tells what has come of it. */
const script = `
import { startServingBy } from "./web/serving/start-serving.ts";

/** When each message of the Worker came, in milliseconds, and what was in it. */
const seen = { messages: [], reports: [], serving: undefined, worker: undefined };
Object.assign(globalThis, { seen });

const NativeWorker = globalThis.Worker;
globalThis.Worker = class extends NativeWorker {
  constructor(...options) {
    super(...options);
    seen.worker = this;
    this.addEventListener("message", () => seen.messages.push(performance.now()));
  }
};

/** Timers that run some times faster. */
const faster = (times) => ({
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds / times);
    return () => clearTimeout(timer);
  },
});

globalThis.serveIn = (endpoint, { isInPage = false, script = "./serving-worker.js", cache = 1 << 24, speed = 1 } = {}) => {
  if (isInPage) globalThis.Worker = undefined;
  const [file] = document.getElementById("file").files;
  const resumeKeys = { get: () => undefined, set() {} };
  const options = { endpoint, file, protocols: [], cache, retry: 0, resumeKeys, cells: 4096 };
  const take = (report) => seen.reports.push(report);
  seen.serving = startServingBy(new URL(script, import.meta.url).href, options, take, faster(speed));
};
`;

const html = (head: string) => `<!doctype html>
<meta charset="utf-8">${head}
<input id="file" type="file">
<script type="module" src="js/serving.js"></script>`;

/** Writes the pages "serving.html" and, where a policy forbids Workers, "without-workers.html" into a folder, with their scripts. */
export async function writeServingPage(folder: string): Promise<void> {
  await cp(`${root}/dist/web`, folder, { recursive: true });
  await writeFile(`${folder}/serving.html`, html(""));
  const policy = `<meta http-equiv="Content-Security-Policy" content="worker-src 'none'">`;
  await writeFile(`${folder}/without-workers.html`, html(policy));
  await build({ ...bundle, format: "esm", outfile: `${folder}/js/serving.js` });
}

const bundle = { stdin: { contents: script, resolveDir: root }, bundle: true, target: "es2022" } as const;

/** The same script, to be evaluated in any page; `serveIn` is told where the engine's script is, from there. */
export async function servingScript(): Promise<string> {
  const define = { "import.meta.url": "document.baseURI" };
  const { outputFiles } = await build({ ...bundle, format: "iife", define, write: false });
  return outputFiles[0]!.text;
}

/** A tab of some browser. */
export interface Tab {
  evaluate(script: string): Promise<unknown>;
  /** Chooses the file that is to be served. */
  choose(path: string): Promise<void>;
  close(): Promise<void>;
}

export interface Tabs {
  open(url: string): Promise<Tab>;
  close(): Promise<void>;
}

export async function chromiumTabs(): Promise<Tabs> {
  const browser = await openChromium();
  return {
    async open(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return {
        evaluate: (script) => page.evaluate(script),
        choose: (path) => page.setInputFiles("#file", path),
        close: () => page.close(),
      };
    },
    close: () => browser.close(),
  };
}

export async function firefoxTabs(): Promise<Tabs> {
  const browser: Firefox = await launch({
    browser: "firefox",
    executablePath: "/usr/bin/firefox-esr",
    headless: true,
  });
  return {
    async open(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return {
        evaluate: (script) => page.evaluate(script),
        choose: async (path) => {
          const input = await page.$("input#file");
          await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(path);
        },
        close: () => page.close(),
      };
    },
    close: () => browser.close(),
  };
}

import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { root } from "../../harness.ts";
import "./gallery-window.ts";
import type { SceneName } from "./scenes.ts";

const html = `<!doctype html>
<html lang="en">
<head><title>Gallery</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="gallery.css"><script type="module" src="nbd-media.js"></script>
<script type="module" src="gallery.js"></script></head>
<body><header><h1>Gallery</h1></header><main></main></body>
</html>`;

const css = `:root { color-scheme: light dark; background: light-dark(#fff, #101216); color: light-dark(#000, #fff) }
body { margin: 0.5rem; font-family: sans-serif } main { max-width: 56rem; margin: auto } h1 { font-size: 1rem }`;

/** A server of the gallery, with the element as it is built, and a policy that allows nothing inline. */
export class GalleryPage {
  readonly page: Page;
  readonly #server: Server;
  readonly #faults: string[] = [];

  private constructor(page: Page, server: Server) {
    this.page = page;
    this.#server = server;
    page.on("pageerror", (error) => this.#faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.#faults.push(message.text());
    });
  }

  static async open(browser: Browser): Promise<GalleryPage> {
    const { outputFiles } = await build({
      entryPoints: [join(root, "test/web/media/gallery.ts")],
      ...{ bundle: true, format: "esm", target: "es2022", write: false },
    });
    const files = new Map<string, [type: string, text: string]>([
      ["/", ["text/html; charset=utf-8", html]],
      ["/gallery.css", ["text/css", css]],
      ["/gallery.js", ["text/javascript", outputFiles[0]!.text]],
      ["/nbd-media.js", ["text/javascript", await readFile(join(root, "dist/web/js/nbd-media.js"), "utf8")]],
    ]);
    const server = createServer(({ url = "" }, response) => {
      const [type, text] = files.get(url) ?? ["text/plain", ""];
      response.writeHead(files.has(url) || url === "/favicon.ico" ? 200 : 404, {
        ...{ "Content-Type": type, "Content-Security-Policy": "default-src 'self'" },
      });
      response.end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const page = await browser.newPage({ viewport: { width: 900, height: 1000 } });
    // What the compiler of the tests gives to functions.
    await page.addInitScript("globalThis.__name = (named) => named");
    const opened = new GalleryPage(page, server);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => "gallery" in window);
    return opened;
  }

  async end(): Promise<void> {
    await this.page.close();
    this.#server.close();
  }

  /** Shows a card in a state, and waits until it has drawn. */
  async show(name: SceneName, language = "en"): Promise<void> {
    await this.page.evaluate(([one, lang]) => window.gallery.show(one, lang), [name, language] as const);
    await this.drawn();
  }

  /** Waits for the frames in which it draws what it was told. */
  async drawn(): Promise<void> {
    await this.page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
  }

  /** A part of the card. */
  part(name: string) {
    return this.page.locator(`nbd-media #${name}`);
  }

  /** The policy has refused nothing, and nothing was written to the console. */
  async isQuiet(): Promise<void> {
    assert.equal(await this.page.evaluate(() => window.gallery.violations), []);
    assert.equal(this.#faults, []);
  }
}

import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, suite } from "../harness.ts";
import { GalleryPage } from "../web/media/gallery-page.ts";

/* <nbd-media> in Chromium, with a server that says what a test wants. */
const tests = suite("<nbd-media>");
const run = needing(tests, ["chromium"]);

/** A test after which the page has met no error. */
const chromium = (what: string, test: () => Promise<void>) =>
  run(what, async () => {
    await test();
    await gallery.isQuiet();
  });

let browser: Browser;
let gallery: GalleryPage;

tests.before(async () => {
  browser = await openChromium();
  gallery = await GalleryPage.open(browser);
  await gallery.page.emulateMedia({ colorScheme: "light" });
});
tests.after(async () => {
  await gallery?.end();
  await browser?.close();
});

chromium(
  "the map has the colours of what was read, written and lies in the cache, cell for cell",
  async () => {
    await gallery.page.setViewportSize({ width: 900, height: 900 });
    await gallery.show("serving");
    const { columns, seen, expected } = await gallery.page.evaluate(() => {
      const root = window.gallery.element.shadowRoot!;
      const canvas = root.querySelector<HTMLCanvasElement>("#map")!;
      const copy = canvas.getContext("2d")!;
      const colourOf = (kind: string) => {
        const numbers = getComputedStyle(root.querySelector(`.swatch.${kind}`)!).color.match(/[\d.]+/g)!;
        return numbers.slice(0, 3).map(Number);
      };
      const { width, height } = canvas;
      // The pattern is 16 cells long, and a row is a power of two.
      const rows = 2 ** Math.round(Math.log2(Math.sqrt((2048 * height) / width)));
      const across = 2048 / rows;
      const at = (cell: number, down: number) => {
        const x = ((cell % across) + 0.4) * (width / across);
        const y = (Math.floor(cell / across) + down) * (height / rows);
        return [...copy.getImageData(Math.floor(x), Math.floor(y), 1, 1).data.slice(0, 3)];
      };
      const cells = Array.from({ length: 64 }, (_, i) => [i, 2048 - 64 + i]).flat();
      return {
        columns: across,
        seen: cells.map((cell) => ({
          cell,
          top: at(cell, 0.15),
          middle: at(cell, 0.5),
          bottom: at(cell, 0.72),
        })),
        expected: {
          unread: colourOf("unread"),
          read: colourOf("read"),
          written: colourOf("written"),
          cached: colourOf("cached"),
        },
      };
    });
    assert.ok(columns >= 64, `${columns} columns`);
    const strengths = [0, 0.22, 0.4, 0.6, 0.8, 1];
    // By the times of the pattern: 0, 0, ½, 1, 2, 3, 7, 31, 100, 0, 0, 0, 1, 0, 0, 0.
    const shades = [0, 0, 1, 2, 2, 3, 4, 5, 5, 0, 0, 0, 2, 0, 0, 0];
    const isLike = (colour: readonly number[], other: readonly number[]) =>
      colour.every((part, i) => Math.abs(part - other[i]!) <= 3);
    for (const { cell, top, middle, bottom } of seen) {
      const kind = cell % 16;
      const strength = strengths[shades[kind]!]!;
      const mixed = expected.unread.map((part, i) => part + (expected.read[i]! - part) * strength);
      const isWritten = kind === 10 || kind === 12;
      const isCached = kind === 8 || kind === 11;
      const what = `cell ${cell}: ${top} ${middle} ${bottom}, ${JSON.stringify(expected)}`;
      assert.ok(isLike(top, isWritten ? expected.written : mixed), `${what}, above`);
      if (!isWritten) assert.ok(isLike(middle, mixed), `${what}, in the middle`);
      assert.ok(isLike(bottom, isCached ? expected.cached : mixed), `${what}, below`);
    }
    assert.match(
      (await gallery.part("map").getAttribute("aria-label"))!,
      /a cell is 1\.0 GiB: 33\.3 % of the image was read, 12\.5 % written, 12\.5 % lie in the cache$/,
    );
  },
);

chromium("the map follows the colours of the page at once", async () => {
  const { page } = gallery;
  await gallery.show("serving");
  const first = () =>
    page.evaluate(() => {
      const canvas = window.gallery.element.shadowRoot!.querySelector<HTMLCanvasElement>("#map")!;
      return [...canvas.getContext("2d")!.getImageData(1, 1, 1, 1).data].join();
    });
  const light = await first();
  await page.emulateMedia({ colorScheme: "dark" });
  await gallery.drawn();
  const dark = await first();
  await page.emulateMedia({ colorScheme: "light" });
  await gallery.drawn();
  assert.is.not(dark, light);
  assert.is(await first(), light);
});

chromium("of a new map only the cells are drawn that look different", async () => {
  await gallery.show("serving");
  const drawn = await gallery.page.evaluate(async () => {
    const { element, standIns } = window.gallery;
    const canvas = element.shadowRoot!.querySelector<HTMLCanvasElement>("#map")!;
    const context = canvas.getContext("2d")!;
    const rectangles: number[] = [];
    context.fillRect = (x) => void rectangles.push(x);
    const { last } = standIns;
    const { map } = window.gallery.lastWithMap;
    const reads = map!.reads.slice();
    reads[5] = 255;
    // As often, to the eye.
    reads[7] = 254;
    last.say({ ...last.report, map: { ...map!, reads }, samples: [], lines: [] });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return rectangles.length;
  });
  assert.ok(drawn > 0 && drawn <= 4, `${drawn} rectangles`);
});

chromium("the chart of requests goes through the known values", async () => {
  await gallery.show("serving");
  const heights = await gallery.page.evaluate(() => {
    const root = window.gallery.element.shadowRoot!;
    const canvas = root.querySelector<HTMLCanvasElement>('[part~="panel-requests"] canvas')!;
    const context = canvas.getContext("2d")!;
    const [red, green, blue] = getComputedStyle(canvas).color.match(/\d+/g)!.map(Number);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    // Letters of 11 pixels.
    const [left, right, top, bottom] = [44, width - 2, 11, height - 1.75 * 11];
    const { samples } = window.gallery;
    const [from, to] = [samples[0]!.at, samples.at(-1)!.at];
    return [30, 60, 100, 130, 200].map((i) => {
      const x = Math.round(left + ((samples[i]!.at - from) / (to - from)) * (right - left));
      for (let y = 0; y < height; y++) {
        const at = 4 * (y * width + x);
        const distance =
          Math.abs(data[at]! - red!) + Math.abs(data[at + 1]! - green!) + Math.abs(data[at + 2]! - blue!);
        // The line is the first that has its colour from above; what is filled below it is far weaker.
        if (data[at + 3]! > 150 && distance < 60)
          return { i, value: ((bottom - y) / (bottom - top)) * 2000, requests: samples[i]!.requests };
      }
      return { i, value: Number.NaN, requests: samples[i]!.requests };
    });
  });
  // A pixel is worth 29 requests here, and the line has a breadth of 1.5.
  for (const { i, value, requests } of heights) {
    assert.ok(Math.abs(value - requests) < 90, `second ${i}: ${value} in place of ${requests}`);
  }
  const panel = gallery.page.locator('[part~="panel-requests"]');
  const [now, sum] = await gallery.page.evaluate(() => [
    window.gallery.samples.at(-1)!.requests,
    window.gallery.samples.reduce((all, { requests }) => all + requests, 0),
  ]);
  assert.is(await panel.locator("b").innerText(), `${now.toLocaleString("en")}/s`);
  assert.is(
    await panel.locator("dd .quiet").innerText(),
    `${Math.round(sum / 240).toLocaleString("en")}/s mean`,
  );
});

chromium("nothing is written to the document when nothing has happened", async () => {
  for (const name of ["free", "held", "serving", "lost", "ejected"] as const) {
    await gallery.show(name);
    await gallery.page.waitForTimeout(1200);
    const changes = await gallery.page.evaluate(async () => {
      const { element, standIns } = window.gallery;
      const seen: string[] = [];
      // A minute that passes is something that happens.
      const { now } = Date;
      const moment = now();
      Date.now = () => moment;
      const observer = new MutationObserver((records) => {
        for (const { type, target, attributeName } of records) {
          seen.push(
            `${type} ${attributeName} ${target.nodeName} ${(target as Element).id} ${target.textContent}`,
          );
        }
      });
      const all = { attributes: true, characterData: true, childList: true, subtree: true };
      observer.observe(element.shadowRoot!, all);
      for (let i = 0; i < 8; i++) {
        const last = standIns.all.at(-1);
        // The same once more.
        last?.say({ ...last.report, samples: [], lines: [], map: undefined });
        Object.assign(element, { remote: element.remote, label: element.label });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      seen.push(...observer.takeRecords().map(({ type }) => type));
      observer.disconnect();
      Date.now = now;
      return seen;
    });
    assert.equal(changes, [], name);
  }
});

chromium("a screen reader is told of what has happened, and of nothing else", async () => {
  await gallery.show("ready");
  const said = await gallery.page.evaluate(async () => {
    const { element } = window.gallery;
    const root = element.shadowRoot!;
    const regions = root.querySelectorAll<HTMLElement>(
      "[role=status], [role=alert], [role=log], [aria-live]",
    );
    const [region] = regions;
    const texts: string[] = [];
    const observer = new MutationObserver(
      () => void texts.push(region!.textContent!.replace(/\s+/g, " ").trim()),
    );
    observer.observe(region!, { characterData: true, childList: true, subtree: true });
    const moment = () => new Promise((resolve) => setTimeout(resolve, 20));
    element.serve();
    await moment();
    const { last } = window.gallery.standIns;
    last.say({ state: "serving", since: 0, wasOpen: true });
    await moment();
    for (let i = 1; i < 30; i++) {
      const samples = window.gallery.samples.slice(i, i + 1);
      const lines = [{ at: i, level: "info", text: "a line" }] as const;
      last.say({
        state: "serving",
        since: 0,
        wasOpen: true,
        lastReadAt: 1000 * i,
        samples,
        lines,
        totals: { reads: i },
      });
      await moment();
    }
    last.say({ state: "reconnecting", wasOpen: true, lost: { at: 0, until: 0 } });
    await moment();
    observer.disconnect();
    return { count: [...regions].filter(({ hidden }) => !hidden).length, texts };
  });
  assert.is(said.count, 1, "one region speaks");
  assert.is(said.texts.length, 4, said.texts.join(" | "));
  assert.match(said.texts[0]!, /^CD\/DVD drive: Connecting/);
  assert.match(said.texts[1]!, /Attached/);
  assert.match(said.texts[2]!, /Serving/);
  assert.match(said.texts[3]!, /Connection lost.*broke.*tried again/);
});

chromium("a double click on Serve, or Enter held down there, does not eject", async () => {
  const { page } = gallery;
  const asked = () => page.evaluate(() => window.gallery.standIns.last.asked);
  await gallery.show("ready");
  await gallery.part("serve").dblclick();
  await gallery.part("stop").waitFor();
  assert.equal(await asked(), []);
  await gallery.show("ready");
  // As a browser has it that counts anew on another button.
  await page.evaluate(() => {
    for (const id of ["serve", "stop"]) {
      const button = window.gallery.element.shadowRoot!.querySelector(`[part="${id}"]`)!;
      button.dispatchEvent(new MouseEvent("click", { detail: 1, bubbles: true }));
    }
  });
  assert.equal(await asked(), []);
  await gallery.show("ready");
  await gallery.part("serve").focus();
  for (let i = 0; i < 3; i++) await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  await gallery.part("stop").waitFor();
  assert.equal(await asked(), []);
  await page.keyboard.press("Enter");
  assert.equal(await asked(), ["stop"]);
});

chromium("what is dropped and not taken is not passed over in silence", async () => {
  const { page } = gallery;
  const drop = (count: number) =>
    page.evaluate((files) => {
      const dataTransfer = new DataTransfer();
      for (let i = 0; i < files; i++) dataTransfer.items.add(new File(["disk"], `${i}.img`));
      const card = window.gallery.element.shadowRoot!.querySelector("section")!;
      card.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    }, count);
  const hint = gallery.part("drop-hint");
  await gallery.show("ready");
  const was = await gallery.part("file-name").textContent();
  await drop(2);
  await hint.getByText("Drop one file at a time").waitFor();
  assert.is(await gallery.part("file-name").textContent(), was);
  await drop(1);
  await hint.waitFor({ state: "hidden" });
  assert.match((await gallery.part("file-name").textContent())!, /0/);
  await gallery.show("serving");
  await drop(1);
  await hint.getByText("Eject first").waitFor();
});

chromium("by keyboard alone: choose, serve, eject, options, log", async () => {
  const { page } = gallery;
  await gallery.show("ready");
  const focused = () =>
    page.evaluate(() => {
      const { activeElement } = window.gallery.element.shadowRoot!;
      return activeElement?.id || activeElement?.textContent;
    });
  const walk: (string | null | undefined)[] = [];
  await page.evaluate(() => window.gallery.element.shadowRoot!.querySelector<HTMLElement>("#file")!.focus());
  walk.push(await focused());
  for (let i = 0; i < 5; i++) {
    await page.keyboard.press("Tab");
    walk.push(await focused());
  }
  assert.equal(walk, ["file", "url", "use-url", "serve", "Options", "log-title"]);
  await gallery.part("serve").focus();
  await page.keyboard.press("Enter");
  assert.is(await focused(), "stop", "the focus is where one can go on");
  await page.keyboard.press("Space");
  assert.equal(await page.evaluate(() => window.gallery.standIns.last.asked), ["stop"]);
  await page.evaluate(() => window.gallery.standIns.last.say({ state: "ended", wasOpen: true }));
  assert.ok(["serve", "file"].includes(String(await focused())), String(await focused()));
  await page.locator("nbd-media summary").first().focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.is(await focused(), "cache");
  await page.keyboard.press("ArrowDown");
  assert.is(await page.evaluate(() => window.gallery.element.cache), 64 * 2 ** 20);
});

chromium(
  "an address that is typed stays while the card tells news, and goes when a file is chosen",
  async () => {
    const { page } = gallery;
    await gallery.show("ready-url");
    const field = gallery.part("url");
    assert.match(await field.inputValue(), /^https:\/\/mirror\.example\//);
    await field.fill("https://mirror.example/another");
    await page.evaluate(() => {
      window.gallery.element.label = "Another drive";
    });
    await gallery.drawn();
    assert.is(await field.inputValue(), "https://mirror.example/another");
    await page.evaluate(() => window.gallery.element.choose(new File(["x"], "x.iso")));
    assert.is(await field.inputValue(), "");
    assert.equal(await page.evaluate(() => window.gallery.element.url), undefined);
  },
);

chromium("the log is saved as a file by a click, and is bounded", async () => {
  const { page } = gallery;
  await gallery.show("serving");
  const rows = await page.evaluate(() => {
    const { last } = window.gallery.standIns;
    const line = (i: number) => ({ at: 1000 * i, level: "info", text: `line ${i}` }) as const;
    for (let i = 0; i < 30; i++) {
      const lines = Array.from({ length: 100 }, (_, j) => line(100 * i + j));
      last.say({ ...last.report, samples: [], map: undefined, lines });
    }
    return window.gallery.element.shadowRoot!.querySelectorAll("#log li").length;
  });
  assert.is(rows, 500);
  await page.locator("nbd-media #log-title").click();
  const [download] = await Promise.all([page.waitForEvent("download"), gallery.part("save-log").click()]);
  const chunks: Buffer[] = [];
  for await (const chunk of (await download.createReadStream()) as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString().trimEnd().split("\n");
  assert.is(text.length, 500);
  assert.is(text.at(-1), "1970-01-01T00:49:59.000Z info line 2999");
  assert.match(download.suggestedFilename(), /^nbd-[\dT-]+\.log$/);
});

chromium("a name that tries to look like another one is seen for what it is", async () => {
  await gallery.show("disguised");
  assert.is(await gallery.part("file-name").innerText(), "invoice⟨U+202E⟩gpj.exe ⟨U+200B⟩.iso");
  const box = async (text: string) =>
    (await gallery.page.locator(`nbd-media bdi:has-text("${text}")`).boundingBox())!;
  assert.ok((await box("invoice")).x < (await box(".iso")).x, "the ending stands last");
});

chromium("an element that is moved goes on; one that is taken away ends what it serves", async () => {
  await gallery.show("serving");
  const asked = await gallery.page.evaluate(async () => {
    const { element, standIns } = window.gallery;
    const moment = () => new Promise((resolve) => setTimeout(resolve, 20));
    document.body.append(element);
    await moment();
    const moved = [...standIns.last.asked];
    element.remove();
    await moment();
    return [moved, standIns.last.asked];
  });
  assert.equal(asked, [[], ["stop"]]);
});

tests.run();

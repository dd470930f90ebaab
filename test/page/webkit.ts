/** A tab of WebKit: WebKitGTK's small browser, driven by its WebDriver on a screen that nobody sees. */

import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { Sandbox, until } from "../harness.ts";
import { type Browser, type Tab, WATCH_POLICY } from "./tab.ts";
import { ELEMENT, WebDriver } from "./web-driver.ts";

type Element = { readonly [ELEMENT]: string };

/** Keys by the numbers that WebDriver has for them. */
const keys: Readonly<Record<string, string>> = { Tab: "\uE004", Enter: "\uE007", Space: " " };

/**
 * Keeps what a page complains about. WebDriver tells nothing of the console, and lets nothing in before the scripts of a page: what a
 * policy refuses is reported afterwards too, while of the rest what came before is missing.
 */
const WATCH = `
  ${WATCH_POLICY}
  new ReportingObserver((reports) => {
    for (const { type, body } of reports) if (type === "csp-violation") violations.push(body.effectiveDirective);
  }, { buffered: true }).observe();
  globalThis.complaints = [];
  for (const level of ["error", "warn"]) {
    const say = console[level].bind(console);
    console[level] = (...words) => {
      complaints.push(words.join(" "));
      say(...words);
    };
  }
  addEventListener("error", ({ message }) => complaints.push(message));
  addEventListener("unhandledrejection", ({ reason }) => complaints.push(String(reason)));`;

export class WebKitTab implements Tab {
  readonly browser = "webkit";
  readonly #session: Session;
  readonly #window: string;
  readonly #complaints: string[] = [];

  constructor(session: Session, window: string) {
    this.#session = session;
    this.#window = window;
  }

  async complaints(): Promise<readonly string[]> {
    this.#complaints.push(...(await this.evaluate<string[]>("(globalThis.complaints ?? []).splice(0)")));
    return this.#complaints;
  }

  async goto(url: string): Promise<void> {
    await this.#use((driver) => driver.post("/url", { url }));
    await this.run(WATCH);
  }

  async reload(): Promise<void> {
    await this.complaints();
    await this.#use((driver) => driver.post("/refresh"));
    await this.run(WATCH);
  }

  evaluate<T>(expression: string): Promise<T> {
    return this.#use((driver) => execute<T>(driver, `return (${expression});`));
  }

  async run(statements: string): Promise<void> {
    await this.#use((driver) => execute(driver, statements));
  }

  click(element: string): Promise<void> {
    return this.#use(async (driver) => {
      await driver.post(`/element/${await find(driver, element)}/click`);
    });
  }

  upload(element: string, files: readonly string[]): Promise<void> {
    return this.#use(async (driver) => {
      await driver.post(`/element/${await find(driver, element)}/value`, { text: files.join("\n") });
    });
  }

  press(key: string): Promise<void> {
    return this.#press([keys[key] ?? key]);
  }

  type(text: string): Promise<void> {
    return this.#press([...text]);
  }

  async resize(width: number, height: number): Promise<void> {
    // What is set is the window, with what is around the page.
    const outer = { width: 0, height: 0 };
    for (let tries = 0; tries < 2; tries++) {
      const inner = await this.evaluate<{ width: number; height: number }>(
        "({ width: innerWidth, height: innerHeight })",
      );
      const now = await this.#use((driver) => driver.get<{ width: number; height: number }>("/window/rect"));
      outer.width = now.width + width - inner.width;
      outer.height = now.height + height - inner.height;
      await this.#use((driver) => driver.post("/window/rect", outer));
    }
  }

  async picture(file: string): Promise<void> {
    const png = await this.#use((driver) => driver.get<string>("/screenshot"));
    await writeFile(file, Buffer.from(png, "base64"));
  }

  async close(): Promise<void> {
    await this.#use((driver) => driver.delete("/window"));
  }

  #use<T>(use: (driver: WebDriver) => Promise<T>): Promise<T> {
    return this.#session.inWindow(this.#window, use);
  }

  async #press(pressed: readonly string[]): Promise<void> {
    const actions = pressed.flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.#use((driver) =>
      driver.post("/actions", { actions: [{ type: "key", id: "keyboard", actions }] }),
    );
  }
}

function execute<T>(driver: WebDriver, script: string): Promise<T> {
  return driver.post<T>("/execute/sync", { script, args: [] });
}

async function find(driver: WebDriver, element: string): Promise<string> {
  const found = await execute<Element | null>(driver, `return (${element});`);
  if (!found?.[ELEMENT]) throw new Error(`there is no ${element}`);
  return found[ELEMENT];
}

/** A browser that has one window at a time that commands are for. */
class Session {
  readonly driver: WebDriver;
  #last: Promise<unknown> = Promise.resolve();

  constructor(driver: WebDriver) {
    this.driver = driver;
  }

  /** Does something in a window, after what was begun before in any. */
  inWindow<T>(handle: string, use: (driver: WebDriver) => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      await this.driver.post("/window", { handle });
      return use(this.driver);
    });
    this.#last = done.catch(() => {});
    return done;
  }
}

/** Starts WebKit for one person. */
export async function startWebKit(): Promise<Browser> {
  const sandbox = new Sandbox();
  try {
    const screen = sandbox.start("Xvfb", [
      "-displayfd",
      "1",
      "-screen",
      "0",
      "1600x1200x24",
      "-nolisten",
      "tcp",
    ]);
    await until("there is a screen", () => screen.stdout.endsWith("\n"));
    const port = await freePort();
    sandbox.start("WebKitWebDriver", [`--port=${port}`], {
      env: { DISPLAY: `:${screen.stdout.trim()}`, HOME: sandbox.folder, GDK_BACKEND: "x11" },
    });
    const server = `http://127.0.0.1:${port}`;
    const isThere = () =>
      fetch(`${server}/status`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until("WebKit's driver listens", isThere);
    const driver = await WebDriver.begin(server, {
      acceptInsecureCerts: true,
      "webkitgtk:browserOptions": {
        binary: smallBrowser(),
        args: ["--automation"],
      },
    });
    const session = new Session(driver);
    // That which the browser begins with stays, as a window is opened out of one that is there.
    const first = await driver.get<string>("/window");
    return {
      name: "webkit",
      async newTab() {
        const { handle } = await session.inWindow(first, () =>
          driver.post<{ handle: string }>("/window/new", { type: "window" }),
        );
        return new WebKitTab(session, handle);
      },
      async close() {
        await driver.delete().catch(() => {});
        await sandbox.end();
      },
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

/** Where Debian has WebKitGTK's small browser, whose folder names the machine's kind. */
function smallBrowser(): string {
  const folders = readdirSync("/usr/lib").map((name) => `/usr/lib/${name}/webkit2gtk-4.1/MiniBrowser`);
  const found = folders.find((path) => existsSync(path));
  if (!found) throw new Error("there is no MiniBrowser of WebKitGTK: install webkit2gtk-driver");
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

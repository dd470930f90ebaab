/** A tab of WebKit: WebKitGTK's small browser, driven by its WebDriver on a screen that nobody sees. */

import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { type Running, Sandbox, until } from "../harness.ts";
import { type Browser, isOfAnswer, type Tab, WATCH_POLICY } from "./tab.ts";
import { ELEMENT, WebDriver } from "./web-driver.ts";

type Element = { readonly [ELEMENT]: string };

/** Keys by the numbers that WebDriver has for them. */
const keys: Readonly<Record<string, string>> = { Tab: "\uE004", Enter: "\uE007", Space: " " };

export class WebKitTab implements Tab {
  readonly browser = "webkit";
  readonly #session: Session;
  readonly #window: string;
  readonly #from: number;

  constructor(session: Session, window: string) {
    this.#session = session;
    this.#window = window;
    this.#from = session.said().length;
  }

  /** Of all tabs, since this one was opened: the browser writes them to one place. What a policy refuses is among them. */
  get complaints(): string[] {
    const lines = this.#session.said().slice(this.#from).split("\n");
    return lines.filter((line) => /^CONSOLE .*\b(WARN|ERROR)\b/.test(line) && !isOfAnswer(line));
  }

  async goto(url: string): Promise<void> {
    await this.#use((driver) => driver.post("/url", { url }));
    await this.run(WATCH_POLICY);
  }

  async reload(): Promise<void> {
    await this.#use((driver) => driver.post("/refresh"));
    await this.run(WATCH_POLICY);
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
  readonly #program: Running;
  #last: Promise<unknown> = Promise.resolve();

  constructor(driver: WebDriver, program: Running) {
    this.driver = driver;
    this.#program = program;
  }

  /** What the browser has written. */
  said(): string {
    return this.#program.stdout;
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
    const program = sandbox.start("WebKitWebDriver", [`--port=${port}`], {
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
        args: ["--automation", "--enable-write-console-messages-to-stdout=true"],
      },
    });
    const session = new Session(driver, program);
    return {
      name: "webkit",
      async newTab() {
        const { handle } = await driver.post<{ handle: string }>("/window/new", { type: "window" });
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

/** A tab of a browser, as tests of the page use it. */

/** The browsers that the page is tested in. */
export const BROWSERS = ["chromium", "firefox", "webkit"] as const;
export type BrowserName = (typeof BROWSERS)[number];

/** A browser of a test. All of its tabs belong to one person. */
export interface Browser {
  readonly name: BrowserName;
  newTab(): Promise<Tab>;
  close(): Promise<void>;
}

/**
 * The same in each browser. What a tab is asked is an expression of JavaScript; `inPage` makes one of a function. Those of
 * `click`, `upload` and `focus` are of an element.
 */
export interface Tab {
  readonly browser: BrowserName;
  /** What the page has complained about, as on the console; what a browser says of answers of a server is left out. */
  complaints(): Promise<readonly string[]>;
  /** Opens a page. What was not allowed there by its security policy is kept from the beginning, where the browser can tell. */
  goto(url: string): Promise<void>;
  /** Loads the page again. Whoever is asked whether they mean to leave it says yes. */
  reload(): Promise<void>;
  /** The value of an expression, as far as JSON has it; a promise is waited for. */
  evaluate<T>(expression: string): Promise<T>;
  /** Runs statements in the page, as those of a script that the page's policy would not let in. */
  run(statements: string): Promise<void>;
  /** Clicks as a person does: at what lies on top there. */
  click(element: string): Promise<void>;
  /** Chooses files for a field. */
  upload(element: string, files: readonly string[]): Promise<void>;
  /** Presses a key: "Tab", "Enter", "Space". */
  press(key: string): Promise<void>;
  /** Types into what has the focus. */
  type(text: string): Promise<void>;
  /** In pixels of CSS. */
  resize(width: number, height: number): Promise<void>;
  /** Takes a picture of what is seen, as a PNG file. */
  picture(file: string): Promise<void>;
  close(): Promise<void>;
}

/** The call of a function in the page. It sees nothing of the test but its arguments, which JSON must have. */
export function inPage<A extends readonly unknown[]>(call: (...values: A) => unknown, ...values: A): string {
  const listed = values.map((value) => JSON.stringify(value) ?? "undefined").join(", ");
  // The loader of TypeScript names functions by a helper of its own.
  return `((__name) => (${call})(${listed}))((named) => named)`;
}

/** Whether a line of a console is what the browser says of a server's answer, or of a link that is gone: no fault of the page. */
export function isOfAnswer(line: string): boolean {
  return /Failed to load resource|WebSocket connection to|can.t establish a connection|connection to .* was interrupted/.test(
    line,
  );
}

/** Keeps in a page what its security policy has refused. */
export const WATCH_POLICY = `
  globalThis.violations ??= [];
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
    violations.push([violatedDirective, blockedURI, sourceFile, lineNumber].join(" "));
  });`;

/** A session of a program that speaks WebDriver (https://www.w3.org/TR/webdriver2/). */

/** By this key an answer says that it is an element. */
export const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

export class WebDriver {
  readonly #url: string;

  private constructor(url: string) {
    this.#url = url;
  }

  static async begin(server: string, capabilities: object): Promise<WebDriver> {
    const asked = { capabilities: { alwaysMatch: capabilities } };
    const { sessionId } = await ask<{ sessionId: string }>("POST", `${server}/session`, asked);
    return new WebDriver(`${server}/session/${sessionId}`);
  }

  get<T>(path: string): Promise<T> {
    return ask<T>("GET", this.#url + path);
  }

  post<T>(path: string, parameters: object = {}): Promise<T> {
    return ask<T>("POST", this.#url + path, parameters);
  }

  delete<T>(path = ""): Promise<T> {
    return ask<T>("DELETE", this.#url + path);
  }
}

async function ask<T>(method: string, url: string, parameters?: object): Promise<T> {
  const body = parameters ? { body: JSON.stringify(parameters) } : {};
  const response = await fetch(url, { method, ...body });
  const { value } = (await response.json()) as { value: T & { error?: string; message?: string } };
  if (response.ok) return value;
  throw new Error(`${method} ${new URL(url).pathname}: ${value.error}: ${value.message}`);
}

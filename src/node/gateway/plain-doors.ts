import type { IncomingMessage, ServerResponse } from "node:http";
import { type Config, metadataOf } from "../config/config.ts";
import { placeOf } from "../config/place-of.ts";
import type { Door, Refusal } from "./admission.ts";
import { send } from "./answers.ts";
import type { PageFiles } from "./page-files.ts";
import { refusalLine } from "./refusal-line.ts";
import { nameIn } from "./sessions.ts";

const NOT_UPGRADED: Refusal = {
  status: 426,
  words: "this path is for WebSockets",
  advice:
    "this path is for WebSockets, and the request does not ask for one; " +
    "a reverse proxy must pass the headers Upgrade and Connection on",
  headers: { Upgrade: "websocket", Connection: "Upgrade, close" },
};

/** The doors for requests without a WebSocket. */
export type PlainDoor = Exclude<Door, "session" | "tunnel">;

export interface PlainDoors {
  /** The door that a request goes to. */
  doorOf(request: IncomingMessage): PlainDoor;
  /** The answer of each door, to requests that were let in. */
  readonly answers: Readonly<Record<PlainDoor, (request: IncomingMessage, response: ServerResponse) => void>>;
}

/** Makes the doors for requests without a WebSocket. */
export function plainDoors(config: Config, page: PageFiles, log: (line: string) => void): PlainDoors {
  return {
    doorOf({ url = "", headers }) {
      // A reverse proxy that does not support WebSockets removes Upgrade, and leaves this header.
      if (headers["sec-websocket-key"] !== undefined) return "notUpgraded";
      if (/^\/metadata(\?|$)/.test(url)) return "metadata";
      if (page.has(url)) return "page";
      return config.configurations.has(nameIn(url) ?? "") ? "notUpgraded" : "page";
    },
    answers: {
      page(request, response) {
        if (!page.answer(request, response)) send(response, 404, "there is no such page\n");
      },
      metadata(_request, response) {
        const type = { "Content-Type": "application/json; charset=utf-8" };
        send(response, 200, JSON.stringify(metadataOf(config)), { ...type, ...aboutConfigurations(config) });
      },
      notUpgraded(request, response) {
        log(refusalLine(request, NOT_UPGRADED));
        send(response, NOT_UPGRADED.status, `${NOT_UPGRADED.words}\n`, NOT_UPGRADED.headers);
      },
    },
  };
}

/** Headers for the page, with what the metadata, whose form is fixed, cannot say. */
function aboutConfigurations({ configurations, defaultName }: Config): Record<string, string> {
  const places = [...configurations].map(([name, configuration]) =>
    [name, placeOf(configuration)].map(encodeURIComponent).join("="),
  );
  return {
    Places: places.join(", "),
    ...(defaultName !== undefined && { "Default-Configuration": encodeURIComponent(defaultName) }),
  };
}

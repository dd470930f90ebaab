import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type Config, metadataOf } from "../config/config.ts";
import { placeOf } from "../config/place-of.ts";
import type { Access } from "../login/access.ts";
import { type Door, type Refusal, rulesOf, type Visit } from "./admission.ts";
import { send } from "./answers.ts";
import { PREFLIGHT_HEADERS } from "./cross-origin.ts";
import { answerLogin, answerLogout } from "./login-doors.ts";
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

type Answer = (request: IncomingMessage, response: ServerResponse, visit: Visit) => void | Promise<void>;

export interface PlainDoorsOptions {
  config: Config;
  page: PageFiles;
  access: Access | undefined;
  /** Ends the session of a configuration in order; false if there is none. */
  eject(name: string): Promise<boolean>;
  log(line: string): void;
}

export interface PlainDoors {
  /** The door that a request goes to. */
  doorOf(request: IncomingMessage): PlainDoor;
  /** The answer of each door, to requests that were let in. */
  readonly answers: Readonly<Record<PlainDoor, Answer>>;
}

/** Makes the doors for requests without a WebSocket. */
export function plainDoors({ config, page, access, eject, log }: PlainDoorsOptions): PlainDoors {
  return {
    doorOf({ method, url = "", headers }) {
      const path = url.replace(/\?.*/s, "");
      if (method === "OPTIONS" && isPreflight(path, headers, config)) return "preflight";
      // A reverse proxy that does not support WebSockets removes Upgrade, and leaves this header.
      if (headers["sec-websocket-key"] !== undefined) return "notUpgraded";
      const fixed = FIXED.get(path);
      if (fixed) return fixed;
      if (path.startsWith(EJECT)) return "eject";
      if (page.has(url)) return "page";
      return config.configurations.has(nameIn(url) ?? "") ? "notUpgraded" : "nothing";
    },
    answers: {
      page(request, response) {
        page.answer(request, response);
      },
      nothing(_request, response) {
        send(response, 404, "there is no such page\n");
      },
      preflight(_request, response) {
        send(response, 204, "", PREFLIGHT_HEADERS);
      },
      login: (request, response, visit) => answerLogin(request, response, visit, access, log),
      logout: (request, response, visit) => answerLogout(request, response, visit, access),
      async eject({ url = "" }, response) {
        const name = nameIn(url.slice(EJECT.length - 1));
        if (name !== undefined && (await eject(name))) return send(response, 204, "");
        send(response, 404, "there is no such configuration, or nothing is attached there\n");
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

/** The beginning of the paths that name what is to be ejected. */
const EJECT = "/eject/";

const FIXED: ReadonlyMap<string, PlainDoor> = new Map([
  ["/metadata", "metadata"],
  ["/login", "login"],
  ["/logout", "logout"],
]);

/** Whether a browser asks if the page of an allowed origin may ask for what is behind a door. */
function isPreflight(path: string, headers: IncomingHttpHeaders, { allowedOrigins }: Config): boolean {
  const door = FIXED.get(path);
  return (
    door !== undefined &&
    rulesOf(door).isForOthers === true &&
    headers["access-control-request-method"] !== undefined &&
    allowedOrigins.includes(headers.origin ?? "")
  );
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

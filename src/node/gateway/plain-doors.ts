import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type Config, metadataOf } from "../config/config.ts";
import { placeOf } from "../config/place-of.ts";
import type { Access } from "../login/access.ts";
import { type Door, type Refusal, rulesOf, type Visit } from "./admission.ts";
import { send } from "./answers.ts";
import { PREFLIGHT_HEADERS } from "./cross-origin.ts";
import { JSON_TYPE } from "./json-body.ts";
import { answerLogin, answerLogout } from "./login-doors.ts";
import type { PageFiles } from "./page-files.ts";
import { answerPull } from "./pull-door.ts";
import type { Pull } from "./pulls.ts";
import { refusalLine } from "./refusal-line.ts";
import { nameIn } from "./sessions.ts";
import type { Events } from "./status/events.ts";
import type { Overview } from "./status/overview.ts";
import { wordsToShow } from "./status/words-to-show.ts";
import { credentialIn } from "./who.ts";

const NOT_UPGRADED: Refusal = {
  status: 426,
  words: "this path is for WebSockets",
  advice:
    "this path is for WebSockets, and the request does not ask for one; " +
    "a reverse proxy must pass the headers Upgrade and Connection on",
  headers: { Upgrade: "websocket", Connection: "Upgrade, close" },
};

const NO_ROOM: Refusal = {
  status: 503,
  words: "as many read the events as may (max-event-listeners)",
  headers: { "Retry-After": "10" },
};

/** Milliseconds of silence after which the system asks whether a reader of events is still there. */
const KEEP_ALIVE_TIME = 30_000;

/** The doors for requests without a WebSocket. */
export type PlainDoor = Exclude<Door, "session" | "tunnel">;

type Answer = (request: IncomingMessage, response: ServerResponse, visit: Visit) => void | Promise<void>;

export interface PlainDoorsOptions {
  config: Config;
  page: PageFiles;
  access: Access | undefined;
  /** Ends the session of a configuration in order; false if there is none. Rejects if its end was not in order. */
  eject(name: string): Promise<boolean>;
  /** Has a file that is fetched from here become the disk of a configuration; see `Pulls`. */
  pull(pull: Pull): Promise<string | undefined>;
  overview: Overview;
  events: Events;
  /** Has an answer last. */
  lasts(response: ServerResponse): void;
  log(line: string): void;
}

export interface PlainDoors {
  /** The door that a request goes to. */
  doorOf(request: IncomingMessage): PlainDoor;
  /** The answer of each door, to requests that were let in. */
  readonly answers: Readonly<Record<PlainDoor, Answer>>;
}

/** Makes the doors for requests without a WebSocket. */
export function plainDoors(options: PlainDoorsOptions): PlainDoors {
  const { config, page, access, eject, pull, overview, events, lasts, log } = options;
  return {
    doorOf({ method, url = "", headers }) {
      const path = url.replace(/\?.*/s, "");
      if (method === "OPTIONS" && isPreflight(path, headers, config)) return "preflight";
      // A reverse proxy that does not support WebSockets removes Upgrade, and leaves this header.
      if (headers["sec-websocket-key"] !== undefined) return "notUpgraded";
      const fixed = FIXED.get(path);
      if (fixed) return fixed;
      if (path.startsWith(EJECT)) return "eject";
      if (path.startsWith(PULL)) return "pull";
      if (page.has(url)) return "page";
      return config.configurations.has(nameIn(url) ?? "") ? "notUpgraded" : "nothing";
    },
    answers: {
      page(request, response, { isSecure }) {
        page.answer(request, response, isSecure);
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
        const name = nameBehind(EJECT, url);
        try {
          if (name !== undefined && (await eject(name))) return send(response, 204, "");
        } catch (error) {
          return send(response, 500, `it has ended, but not in order: ${wordsToShow(error)}\n`);
        }
        send(response, 404, "there is no such configuration, or nothing is attached there\n");
      },
      pull(request, response, visit) {
        const name = nameBehind(PULL, request.url ?? "");
        const whereOf = (name: string) => overview.configuration(name)?.where;
        return answerPull(request, response, visit, { name, pull, whereOf, lasts, log });
      },
      metadata(_request, response) {
        const about = aboutConfigurations(config);
        send(response, 200, JSON.stringify(metadataOf(config)), { ...JSON_TYPE, ...about });
      },
      status(_request, response) {
        send(response, 200, JSON.stringify(overview.document()), JSON_TYPE);
      },
      events(request, response, visit) {
        if (!events.hasRoom) {
          log(refusalLine(request, NO_ROOM));
          return send(response, NO_ROOM.status, `${NO_ROOM.words}\n`, NO_ROOM.headers);
        }
        const credential = access && credentialIn(visit, false, access);
        const isWelcome = () =>
          !access || (credential !== undefined && access.judge(credential.secret, visit.address) === "right");
        lasts(response);
        request.socket.setKeepAlive(true, KEEP_ALIVE_TIME);
        events.add(response, isWelcome);
      },
      async metrics(_request, response) {
        // Most gateways are never asked.
        const { EXPOSITION_TYPE, metricsText } = await import("./status/metrics.ts");
        const { version, entries } = overview;
        const text = metricsText({ version, entries, listeners: events.size });
        send(response, 200, text, { "Content-Type": EXPOSITION_TYPE });
      },
      notUpgraded(request, response) {
        log(refusalLine(request, NOT_UPGRADED));
        send(response, NOT_UPGRADED.status, `${NOT_UPGRADED.words}\n`, NOT_UPGRADED.headers);
      },
    },
  };
}

/** The beginnings of paths behind which stands the name of a configuration: to eject it, or to have something pulled for it. */
const EJECT = "/eject/";
const PULL = "/pull/";

const nameBehind = (beginning: string, url: string) => nameIn(url.slice(beginning.length - 1));

const FIXED: ReadonlyMap<string, PlainDoor> = new Map([
  ["/metadata", "metadata"],
  ["/status", "status"],
  ["/events", "events"],
  ["/metrics", "metrics"],
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

import type { NbdMediaElement } from "../../../web/media/nbd-media.ts";
import type { ServingReport } from "../../../web/serving/report.ts";
import { type Scene, type SceneName, samples, scenes } from "./scenes.ts";
import { StandIns } from "./stand-in-serving.ts";

/* The script of a page that shows <nbd-media> in any of its states. */

const place = document.querySelector("main")!;

/** What a test reaches. */
export interface Gallery {
  readonly names: readonly SceneName[];
  /** What a policy of the page has refused. */
  readonly violations: string[];
  /** The events of the element, by name. */
  readonly events: string[];
  readonly samples: typeof samples;
  /** The last report with a map. */
  lastWithMap: Partial<ServingReport>;
  element: NbdMediaElement;
  standIns: StandIns;
  /** Shows a card in a state, in place of the last one. */
  show(name: SceneName, language?: string): Promise<void>;
}

const gallery: Gallery = {
  names: Object.keys(scenes) as SceneName[],
  violations: [],
  events: [],
  samples,
  lastWithMap: {},
  element: document.createElement("nbd-media"),
  standIns: new StandIns(),
  async show(name, language = "en") {
    const element = document.createElement("nbd-media");
    const standIns = new StandIns();
    element.startServing = standIns.start;
    element.explain = async () => undefined;
    element.keep = () => ({ get: () => undefined, set: () => {}, note: () => {}, end: () => {} });
    element.endpoint = "ws://bmc.example/0";
    element.label = "CD/DVD drive";
    element.place = "/dev/nbd0";
    element.lang = language;
    for (const type of [
      "nbd-state",
      "nbd-report",
      "nbd-log",
      "nbd-chosen",
      "nbd-eject",
      "nbd-login",
    ] as const) {
      element.addEventListener(type, () => void gallery.events.push(type));
    }
    element.addEventListener("nbd-report", ({ detail }) => {
      if (detail.map) gallery.lastWithMap = detail;
    });
    gallery.events.length = 0;
    place.replaceChildren(element);
    gallery.element = element;
    gallery.standIns = standIns;
    await (scenes[name] as (scene: Scene) => void | Promise<void>)({ element, standIns });
  },
};

document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  gallery.violations.push(`${violatedDirective}: ${blockedURI}`);
});
Object.assign(window, { gallery });

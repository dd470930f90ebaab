import { startServing } from "../serving/start-serving.ts";
import { lookAt } from "./look-at.ts";
import { type MediaEventMap, NbdMediaElement } from "./media-element.ts";

export type { FileHandle } from "../keeping/file-handle.ts";
export type { Refusal } from "../login/refusal.ts";
export type { BlockMap, LogLine, RateSample, ServingReport, Totals } from "../serving/report.ts";
export type { Serving, ServingOptions, StartServing } from "../serving/serving.ts";
export type { Source, WebFile } from "../serving/source.ts";
export type { KeptPlace } from "./drive.ts";
export type { LookAt } from "./look-at.ts";
export type { Interruption, MediaState } from "./media-element.ts";
export type { RemoteStatus } from "./remote-status.ts";
export { type MediaEventMap, NbdMediaElement };

declare global {
  interface HTMLElementTagNameMap {
    "nbd-media": NbdMediaElement;
  }
  interface HTMLElementEventMap extends MediaEventMap {}
}

NbdMediaElement.startServing ??= startServing;
NbdMediaElement.lookAt ??= lookAt;

// Two scripts of a page may bring it.
if (!customElements.get("nbd-media")) customElements.define("nbd-media", NbdMediaElement);

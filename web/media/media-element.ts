import { messageOf } from "../../src/streams/message-of.ts";
import type { FileHandle } from "../keeping/file-handle.ts";
import { isHeld } from "../keeping/hold.ts";
import { nameOfSession } from "../keeping/kept-session.ts";
import { TabSession } from "../keeping/tab-session.ts";
import { type Refusal, whyRefused } from "../login/refusal.ts";
import type { LogLine, ServingReport } from "../serving/report.ts";
import type { StartServing } from "../serving/serving.ts";
import { isWebFile, type Source, webFileAt } from "../serving/source.ts";
import { media as de } from "../words/de.ts";
import { media as en } from "../words/en.ts";
import { chooseLanguage, wishedLanguages } from "../words/language.ts";
import type { MediaWords } from "../words/media-words.ts";
import type { Action } from "./actions.ts";
import { Card, toldOf } from "./card.ts";
import { Drive, type KeptPlace, type Note } from "./drive.ts";
import type { LookAt } from "./look-at.ts";
import style from "./media.css";
import { OwnSession } from "./own-session.ts";
import type { RemoteStatus } from "./remote-status.ts";
import { shownNameText } from "./shown-name.ts";
import type { Awaited, Kind, Situation, Tone } from "./situation.ts";
import { toneOf } from "./situation.ts";
import { situationOf } from "./situation-of.ts";
import { styleSheet } from "./style-sheet.ts";
import { Units } from "./units.ts";

const WORDS = { en, de };
const units = new Map<MediaWords, Units>();

const CACHE = 1 << 24;
const RETRY = 300;

/** What waits on the other machine for its file, and where that is, if the browser has kept it. */
export interface Interruption extends Awaited {
  readonly handle?: FileHandle | undefined;
}

/** The detail of `nbd-state`. */
export interface MediaState {
  readonly kind: Kind;
  readonly tone: Tone;
  /** For people, in the language of the element. */
  readonly headline: string;
  /** Whether something is served, or about to be: leaving the page would end it. */
  readonly isRunning: boolean;
}

/** The events of <nbd-media>. They bubble, and cross the borders of shadow trees. */
export interface MediaEventMap {
  "nbd-state": CustomEvent<MediaState>;
  "nbd-report": CustomEvent<ServingReport>;
  "nbd-log": CustomEvent<LogLine>;
  /** `url`: in place of a file. */
  "nbd-chosen": CustomEvent<{
    readonly file: File | undefined;
    readonly handle: FileHandle | undefined;
    readonly url: string | undefined;
  }>;
  /** A person wants to end what somebody else serves there. */
  "nbd-eject": CustomEvent<undefined>;
  /** The gateway wants a login; `wake()` goes on after it. */
  "nbd-login": CustomEvent<undefined>;
}

/** A card with a drive of another machine, at an endpoint: what is served there, by whom, and how to serve a file. */
export class NbdMediaElement extends HTMLElement {
  static readonly observedAttributes = [
    "endpoint",
    "label",
    "place",
    "cache",
    "retry",
    "max-message",
    "lang",
    "can-eject",
  ];

  /** What serves, if an element has none of its own. */
  static startServing: StartServing | undefined;

  /** What looks at addresses, if an element has none of its own. */
  static lookAt: LookAt | undefined;

  /** What serves. */
  startServing: StartServing | undefined;

  /** What looks at addresses. */
  lookAt: LookAt | undefined;

  /** Subprotocols that the WebSocket asks for, as those of a login. They are asked for again for each server. */
  protocols: readonly string[] | (() => readonly string[]) = [];

  /** Asks by a plain request why there is no WebSocket. Default: asks, if the endpoint is of the page's own host. */
  explain: (endpoint: string) => Promise<Refusal | undefined> = explainSameHost;

  /** Keeps what a page that is loaded again needs to go on. Default: in this browser. */
  keep: (endpoint: string, file: Source, handle: FileHandle | undefined) => KeptPlace = (
    endpoint,
    file,
    handle,
  ) => new TabSession(nameOfSession(endpoint), file, handle);

  readonly #drive: Drive;
  readonly #card: Card;
  readonly #resizing = new ResizeObserver(() => this.#card.refresh());
  #remote: RemoteStatus | undefined;
  readonly #own = new OwnSession();
  /** The session that another tab of this browser has. */
  #sessionHere: string | undefined;
  /** What the other tabs were asked for last. */
  #askedTabs: string | undefined;
  #state: MediaState | undefined;
  #told = "";
  #leaving: AbortController | undefined;
  #minutes: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styleSheet(style)];
    const element = this;
    this.#drive = new Drive({
      get endpoint() {
        return element.endpoint;
      },
      get protocols() {
        const { protocols } = element;
        return typeof protocols === "function" ? protocols() : protocols;
      },
      get cache() {
        return element.cache;
      },
      get retry() {
        return element.retry;
      },
      get maxMessage() {
        return element.maxMessage;
      },
      get startServing() {
        const start = element.startServing ?? NbdMediaElement.startServing;
        if (!start) throw new Error("<nbd-media> has nothing that serves: set its property startServing");
        return start;
      },
      get lookAt() {
        const look = element.lookAt ?? NbdMediaElement.lookAt;
        if (!look)
          throw new Error("<nbd-media> has nothing that looks at addresses: set its property lookAt");
        return look;
      },
      keep: (file, handle) => this.keep(this.endpoint, file, handle),
      explain: (endpoint) => this.explain(endpoint),
      onbegin: (isResumable) => this.#own.begin(this.#remote?.session?.id, isResumable),
      onchange: () => this.#render(),
      onreport: (report) => this.#report(report),
      onnote: (note) => this.#note(note),
      onlogin: () => this.#tell("nbd-login", undefined),
    });
    this.#card = new Card(root, {
      onaction: (action) => this.#act(action),
      oncache: (cache) => {
        this.cache = cache;
      },
      ongiven: ({ file, handle, isFolder }) => this.#choose(file, handle, isFolder),
      onurl: (url) => this.#choose(webFileAt(url), undefined, false),
      onfault: (error) => this.#log("error", messageOf(error)),
    });
  }

  /** Where the disk goes: a ws:// or wss:// URL, or one relative to the page. */
  get endpoint(): string {
    const endpoint = this.getAttribute("endpoint") ?? "";
    if (!URL.canParse(endpoint, document.baseURI)) return endpoint;
    const url = new URL(endpoint, document.baseURI);
    url.protocol = url.protocol.replace(/^http/, "ws");
    url.hash = "";
    return url.href;
  }

  set endpoint(endpoint: string) {
    this.setAttribute("endpoint", endpoint);
  }

  /** What the drive is called. */
  get label(): string {
    return this.getAttribute("label") ?? "";
  }

  set label(label: string) {
    this.setAttribute("label", label);
  }

  /** Where the disk is on the other machine, such as /dev/nbd0. */
  get place(): string {
    return this.getAttribute("place") ?? "";
  }

  set place(place: string) {
    this.setAttribute("place", place);
  }

  /** Bytes of the file that are kept in memory; 0: none. Default 16 MiB. */
  get cache(): number {
    return amountOf(this.getAttribute("cache"), CACHE);
  }

  set cache(cache: number) {
    this.setAttribute("cache", String(cache));
  }

  /** Seconds for which a link that was lost is tried to be had again. Default 300. */
  get retry(): number {
    return amountOf(this.getAttribute("retry"), RETRY);
  }

  set retry(retry: number) {
    this.setAttribute("retry", String(retry));
  }

  /** Bytes of the longest message that is sent, at least 64, as a relay may refuse longer ones. Default: about 1 MiB. */
  get maxMessage(): number | undefined {
    return amountOf(this.getAttribute("max-message"), undefined);
  }

  set maxMessage(bytes: number | undefined) {
    if (bytes === undefined) this.removeAttribute("max-message");
    else this.setAttribute("max-message", String(bytes));
  }

  /** Whether the page can eject what somebody else serves: there is a button then, which makes an event `nbd-eject`. */
  get canEject(): boolean {
    return this.hasAttribute("can-eject");
  }

  set canEject(canEject: boolean) {
    this.toggleAttribute("can-eject", canEject);
  }

  /** What was chosen: a file, or an image at an address. */
  get source(): Source | undefined {
    return this.#drive.chosen?.file;
  }

  /** The file that was chosen. */
  get file(): File | undefined {
    const { source } = this;
    return source && !isWebFile(source) ? source : undefined;
  }

  set file(file: File | undefined) {
    if (file) this.choose(file);
  }

  /** The address that was chosen. */
  get url(): string | undefined {
    const { source } = this;
    return source && isWebFile(source) ? source.url : undefined;
  }

  set url(url: string | undefined) {
    if (url !== undefined) this.#choose(webFileAt(url), undefined, false);
  }

  /** What the gateway tells of the place. */
  get remote(): RemoteStatus | undefined {
    return this.#remote;
  }

  set remote(remote: RemoteStatus | undefined) {
    this.#remote = remote;
    const id = remote?.session?.id;
    this.#own.look(id, this.report?.state);
    if (id !== undefined && id !== this.#own.id && id !== this.#sessionHere) void this.#lookForTab(id);
    this.#render();
  }

  /** What waits on the other machine for its file, after the page was left. */
  get interrupted(): Interruption | undefined {
    return this.#drive.awaited;
  }

  set interrupted(interrupted: Interruption | undefined) {
    this.#drive.awaited = interrupted && { ...interrupted, handle: interrupted.handle };
  }

  /** What the card is at. */
  get state(): MediaState {
    if (!this.isConnected || !this.#state) this.#state = this.#look().state;
    return this.#state;
  }

  /** The last report of what serves, or has served. */
  get report(): ServingReport | undefined {
    return this.#drive.run?.report;
  }

  /** Chooses a file. That which is waited for is served at once. */
  choose(file: File, handle?: FileHandle): void {
    this.#choose(file, handle, false);
  }

  /** Serves the file that was chosen. Does nothing if there is none, or one is served. */
  serve(options: { takeOver?: boolean } = {}): void {
    this.#drive.serve(options);
  }

  /** Ends what is served, in order. */
  stop(): void {
    this.#drive.stop();
  }

  /** Goes on with what waits for its file, if the browser has kept where it is. The person may be asked, which takes a click. */
  goOn(): Promise<void> {
    return this.#drive.goOn();
  }

  /** Tries again, at once and with new subprotocols, what waits for the network or a login. */
  wake(): void {
    this.#drive.wake();
  }

  connectedCallback(): void {
    this.#drive.begin();
    this.#resizing.observe(this);
    this.#leaving?.abort();
    const leaving = new AbortController();
    this.#leaving = leaving;
    const { signal } = leaving;
    addEventListener("pagehide", () => this.#drive.note(), { signal });
    addEventListener("beforeunload", (event) => this.#askToStay(event), { signal });
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#card.refresh(), { signal });
    }
    // How long it has been served is told in minutes.
    this.#minutes ??= setInterval(() => this.#render(), 60_000);
    this.#render();
  }

  disconnectedCallback(): void {
    // An element that is only moved is back by then.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#resizing.disconnect();
      this.#leaving?.abort();
      clearInterval(this.#minutes);
      this.#minutes = undefined;
      this.#drive.end();
      this.#card.end();
    });
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#render();
  }

  get #host(): string {
    const endpoint = this.#drive.run?.endpoint ?? this.endpoint;
    return URL.canParse(endpoint) ? new URL(endpoint).host : endpoint;
  }

  /** Whether the other machine has, or had until the link was lost, what this card serves. */
  get #hasDisk(): boolean {
    const state = this.#drive.run?.report?.state;
    return state === "serving" || state === "unreadable" || state === "reconnecting";
  }

  get #words(): MediaWords {
    return WORDS[chooseLanguage(["en", "de"], wishedLanguages(this))];
  }

  get #units(): Units {
    const words = this.#words;
    const known = units.get(words) ?? new Units(words.language);
    units.set(words, known);
    return known;
  }

  #choose(source: Source, handle: FileHandle | undefined, isFolder: boolean): void {
    if (this.#drive.isRunning) return;
    this.#drive.choose(source, { handle, isFolder });
    if (isFolder) return;
    const chosen = isWebFile(source)
      ? { file: undefined, url: source.url }
      : { file: source, url: undefined };
    this.#tell("nbd-chosen", { ...chosen, handle });
  }

  #act(action: Action): void {
    if (action === "serve") this.serve();
    else if (action === "take-over") this.serve({ takeOver: true });
    else if (action === "stop") this.stop();
    else if (action === "go-on") void this.goOn();
    else this.#tell("nbd-eject", undefined);
  }

  #report(report: ServingReport): void {
    this.#own.look(this.#remote?.session?.id, report.state);
    this.#card.figures.history.add(report.samples);
    for (const line of report.lines) this.#tell("nbd-log", line);
    this.#card.log.add(report.lines);
    this.#tell("nbd-report", report);
  }

  #note(note: Note): void {
    const { notes } = this.#words;
    if (note.kind === "chosen") {
      const { name, size } = note.file;
      this.#log("info", notes.chosen(shownNameText(name), this.#units.bytes(size)));
    } else if (note.kind === "cannot-read") {
      this.#log("error", notes.cannotRead(shownNameText(note.file.name), note.why));
    } else this.#log("warning", notes.plainRequest(note.why));
  }

  #log(level: LogLine["level"], text: string): void {
    const line = { at: Date.now(), level, text };
    this.#card.log.add([line]);
    this.#tell("nbd-log", line);
  }

  /** Once for each state of a session: without locks it is a question to all tabs. */
  async #lookForTab(id: string): Promise<void> {
    const asked = `${id} ${this.#remote?.state}`;
    if (asked === this.#askedTabs) return;
    this.#askedTabs = asked;
    if (!(await isHeld(nameOfSession(this.endpoint)))) return;
    if (this.#remote?.session?.id !== id || id === this.#own.id) return;
    this.#sessionHere = id;
    this.#render();
  }

  /** What it is at, in or out of a document. */
  #look(): { situation: Situation; state: MediaState } {
    const drive = this.#drive;
    const { isRunning, chosen, run } = drive;
    const remote = this.#remote;
    const situation = situationOf({
      ...{ host: this.#host, chosen, run, remote, fault: drive.fault },
      ...{ awaited: drive.awaited, ownSession: this.#own.id },
      isHeldHere: remote?.session?.id !== undefined && remote.session.id === this.#sessionHere,
    });
    const { headline } = toldOf(situation, this.#words, this.#units);
    return { situation, state: { kind: situation.kind, tone: toneOf(situation), headline, isRunning } };
  }

  #render(): void {
    if (!this.isConnected) return;
    const { situation, state } = this.#look();
    const { isRunning, isServable, chosen, run } = this.#drive;
    const remote = this.#remote;
    const { label, canEject, cache } = this;
    const place = this.place || (remote?.where ?? "");
    const view = { label, place, situation, chosen, run, isRunning, isServable, canEject, cache };
    this.#card.render(view, this.#words, this.#units);
    this.#state = state;
    const told = JSON.stringify(state);
    if (told === this.#told) return;
    this.#told = told;
    this.#tell("nbd-state", state);
  }

  /** Leaving the page takes the disk away from the other machine. */
  #askToStay(event: Event): void {
    if (this.#hasDisk) event.preventDefault();
  }

  #tell<N extends keyof MediaEventMap>(name: N, detail: MediaEventMap[N]["detail"]): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** A whole number that is not negative, or a default. */
function amountOf<T>(text: string | null, otherwise: T): number | T {
  return text !== null && /^\d{1,15}$/.test(text.trim()) ? Number(text) : otherwise;
}

/** Other hosts let no page of another origin see their answers. */
async function explainSameHost(endpoint: string): Promise<Refusal | undefined> {
  return new URL(endpoint).host === location.host ? whyRefused(endpoint, {}) : undefined;
}

import type { StatusDocument } from "../src/node/gateway/status/document.ts";
import type { Dropped } from "./keeping/dropped.ts";
import { forgetSession } from "./keeping/interrupted.ts";
import { KeptField } from "./keeping/kept-field.ts";
import { forgetServed, noteServed } from "./keeping/served-before.ts";
import { Gate } from "./login/gate.ts";
import { Login, takeToken } from "./login/login.ts";
import { whyRefused } from "./login/refusal.ts";
import type { NbdMediaElement } from "./media/nbd-media.ts";
import { peerName } from "./media/peer-name.ts";
import { shownNameText } from "./media/shown-name.ts";
import { CardsTold } from "./slots/card-events.ts";
import { loadConfigurations } from "./slots/configurations.ts";
import { takeDrops } from "./slots/dropping.ts";
import { eject } from "./slots/eject.ts";
import { Feed } from "./slots/feed/feed.ts";
import type { News } from "./slots/feed/news.ts";
import { SharedFeed } from "./slots/feed/shared-feed.ts";
import { goOn, remind } from "./slots/going-on.ts";
import { showLacks } from "./slots/lacks.ts";
import { Question } from "./slots/question.ts";
import { ServedList } from "./slots/served-list.ts";
import { Slots } from "./slots/slots.ts";
import { askConsent, consent, notify } from "./slots/stop-notice.ts";
import { TabFace } from "./slots/tab-face.ts";
import { keepLanguage, languages, pageWords, translate } from "./words/words.ts";

function element<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** What lies beside the page: a proxy may have put the gateway below a path. */
const base = new URL(".", location.href);
/** The name of the gateway's machine and the version of the gateway, as far as it tells. */
let host = "";
let version: string | undefined;
let words = pageWords();
/** Whether the gateway has let this page in once. */
let hasEntered = false;
/** Whether the gateway did not answer when it was asked last. */
let isGatewayLost = false;

const news = element("news");
const logOutButton = element<HTMLButtonElement>("log-out");
const languageButton = element<HTMLButtonElement>("language");
const tellMeButton = element<HTMLButtonElement>("tell-me");

const login = new Login(() => words.login);
const gate = new Gate({
  form: element("login"),
  login,
  enter,
  refusedAfter: () => words.login.refusedAfter,
  onchange(isLocked) {
    slots.lock(isLocked);
    if (isLocked) shared.leave();
    render();
    if (!isLocked) element("drives-title").focus();
    say(isLocked ? words.login.missing : "");
  },
});
const field = new KeptField(element("kept"));
const question = new Question(element("question"), element("question-text"));
const face = new TabFace(document.querySelector<HTMLLinkElement>("link[rel=icon]")!);

const told = new CardsTold({
  onstate() {
    slots.settle();
    render();
  },
  onattached(card, file, handle) {
    const slot = slots.slotOf(card);
    if (!slot || !handle) return;
    const { name, size } = file;
    const served = {
      path: base.pathname,
      host,
      configuration: slot.name,
      name,
      size,
      at: Date.now(),
      handle,
    };
    void noteServed(served).then(() => before.look());
  },
  ontrouble(card, headline) {
    const file = shownNameText(card.source?.name ?? "");
    notify(headline, words.notice.body(file, card.label), card.endpoint);
  },
  onother(card) {
    const slot = slots.slotOf(card);
    if (slot) void remind(card, slot.name);
  },
  onchosen: () => field.keep(slots.cards.flatMap(({ file }) => file ?? [])),
  oneject: (card) => void ejectOthers(card),
  onlogin: () => gate.lock(words.login.ended),
});
const slots = new Slots(element("cards"), {
  endpointOf,
  labelOf: ({ name, description, isDefault }) => words.drive(name, description, isDefault),
  protocols: () => login.protocols(),
  explain: (endpoint) => whyRefused(endpoint, login.headers),
  onadd(card, name) {
    told.listen(card);
    void goOn([name], endpointOf, () => card, field);
  },
});
const before = new ServedList(element("before"), {
  gateway: () => ({ path: base.pathname, host }),
  words: () => words,
  isOpen: () => hasEntered && !gate.isLocked,
  cardOf(name) {
    const card = slots.card(name);
    return card && { card, label: card.label };
  },
  say,
});

/** The connection of this tab, if it is the one that has it. */
let feed: Feed | undefined;
const shared = new SharedFeed({
  name: `nbd-proxy events ${base.pathname}`,
  onnews: take,
  locks: navigator.locks,
  run(onnews, signal) {
    feed = new Feed({ base: base.href, headers: () => login.headers, onnews });
    return feed.run(signal);
  },
});

/** The URL of a WebSocket of the gateway or relay that this page came from. */
function endpointOf(configuration: string): string {
  const url = new URL(encodeURIComponent(configuration) || ".", base);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function noAnswer(): string {
  return words.login.noAnswer(location.host);
}

/** Says something that has happened to the page as a whole. */
function say(text: string): void {
  // Screen readers read out a status that is set, even if it stays the same.
  if (news.textContent !== text) news.textContent = text;
}

/** Takes what the gateway tells. */
function take(heard: News): void {
  const wasLost = isGatewayLost;
  isGatewayLost = heard.kind === "lost";
  if (heard.kind === "locked") gate.lock(words.login.ended);
  if (heard.kind === "lost") say(words.gatewayLost(heard.words ?? noAnswer()));
  if (heard.kind !== "status") return;
  takeStatus(heard.document);
  if (!wasLost) return;
  say(words.gatewayBack);
  slots.wake();
}

function takeStatus(document: StatusDocument): void {
  const { gateway } = document;
  if (gateway.host !== host || gateway.version !== version) {
    // A gateway of an earlier version does not tell.
    host = gateway.host ?? "";
    version = gateway.version;
    showMachine();
    void before.look();
  }
  slots.tell(document);
  void offerAnew();
  render();
}

/** What the offer was asked for anew because of. */
let askedFor: string | undefined;

/** Asks what is offered, where the gateway tells of something else; once for each, as it may never agree with itself. */
async function offerAnew(): Promise<void> {
  const { news: other } = slots;
  if (other === undefined || other === askedFor) return;
  askedFor = other;
  const offered = await loadConfigurations(login.headers, slots.offered);
  if (offered) slots.offer(offered);
}

/** Finds out what is offered. Returns false if the gateway wants a login first. */
async function enter(): Promise<boolean> {
  const offered = await loadConfigurations(login.headers, slots.offered);
  if (!offered) return false;
  hasEntered = true;
  slots.offer(offered);
  slots.wake();
  gate.unlock();
  say("");
  follow();
  showMachine();
  render();
  void before.look();
  return true;
}

/** Has the gateway tell what goes on, while somebody looks at this tab. */
function follow(): void {
  if (document.hidden || !hasEntered || gate.isLocked) shared.leave();
  else shared.join();
}

/** Begins, with the token in the page's URL if there is one. */
async function start(): Promise<void> {
  const token = takeToken();
  const fault = token ? await login.logIn(token) : undefined;
  const hadLogin = login.isKept;
  if (!(await enter())) gate.lock(fault ?? (hadLogin ? words.login.ended : ""));
  else if (fault !== undefined) say(words.login.inUrl(fault));
}

async function logOut(): Promise<void> {
  const fault = await login.logOut();
  if (fault !== undefined) return say(words.login.stillLoggedIn(fault));
  shared.leave();
  for (const card of slots.cards) card.interrupted = undefined;
  await Promise.all([
    forgetServed(base.pathname),
    ...slots.slots.map(({ name }) => forgetSession(endpointOf(name))),
  ]);
  await before.look();
  field.keep([]);
  await before.look();
  if (!(await enter())) gate.lock();
}

/** Ends what somebody else serves, after a question. */
async function ejectOthers(card: NbdMediaElement): Promise<void> {
  const slot = slots.slotOf(card);
  if (!slot) return;
  const { medium, peer } = slot.status?.session ?? {};
  const file = medium ? shownNameText(medium.name) : undefined;
  const isSure = await question.ask(words.eject.question(card.label, file, peer && peerName(peer)));
  if (!isSure) return;
  const ejected = await eject(base.href, slot.name, login.headers);
  if (ejected.isDone) return say(words.eject.done(card.label));
  say(words.eject.failed(card.label, ejected.why ?? noAnswer()));
  if (ejected.wantsLogin) gate.lock(words.login.ended);
}

/** Takes a file that was dropped beside the cards, if it is clear which one it is for. */
function takeDropped({ file, handle, isFolder, count }: Dropped): void {
  if (gate.isLocked) return;
  const free = slots.cards.filter((card) => !card.state.isRunning && !card.remote?.session);
  const [card] = free;
  if (count > 1) say(words.drop.oneByOne);
  else if (!card || free.length > 1) say(words.drop.onACard);
  else if (isFolder) say(words.drop.folder);
  else card.choose(file, handle);
}

function render(): void {
  const { isServing, cards } = slots;
  element("drives").hidden = !hasEntered || (gate.isLocked && !isServing);
  logOutButton.hidden = gate.isLocked || !login.isKept;
  if (logOutButton.disabled !== isServing) logOutButton.disabled = isServing;
  face.show(
    cards.flatMap((card) => told.stateOf(card) ?? []),
    { title: words.texts.title, ...words.tab },
  );
  showConsent();
  before.show();
}

function showMachine(): void {
  const machine = element("machine");
  machine.textContent = words.machine(host || location.host, version);
  machine.hidden = !hasEntered;
}

function showConsent(): void {
  const given = consent();
  tellMeButton.hidden = given !== "not asked";
  const { granted, denied, notAsked } = words.notice;
  const text = { granted, denied, "not asked": notAsked, impossible: "" }[given];
  const line = element("told");
  if (line.textContent !== text) line.textContent = text;
}

/** Says everything in the language that is wanted. */
function speak(): void {
  words = pageWords();
  translate(words);
  const other = words.language === "de" ? languages.en : languages.de;
  languageButton.textContent = other.languageName;
  languageButton.lang = other.language;
  languageButton.hidden = false;
  slots.speak(words.language);
  showMachine();
  showLacks(element("lacks"), words);
  render();
}

// What <nbd-media> is told before it is defined would be lost.
await customElements.whenDefined("nbd-media");
element("late").remove();
speak();
say(words.starting);
takeDrops(takeDropped);
languageButton.addEventListener("click", () => {
  keepLanguage(languageButton.lang);
  speak();
});
logOutButton.addEventListener("click", () => void logOut());
tellMeButton.addEventListener("click", () => void askConsent().then(showConsent));
document.addEventListener("visibilitychange", follow);
addEventListener("pagehide", () => shared.leave());
addEventListener("pageshow", follow);
addEventListener("online", () => feed?.wake());
// Where the page is open already, the browser only changes the fragment.
addEventListener("hashchange", () => void start());
void start();

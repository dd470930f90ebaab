import { sampleOf } from "../src/export/blob-sample.ts";
import type { NBDServer } from "../src/NBDServer.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { hasStreams } from "../src/streams/runtime.ts";
import { type Closed, closedAs } from "./closed.ts";
import { formatBytes } from "./format-bytes.ts";
import { droppedHandle, type FileHandle, fileOf, hasPicker, pickFile } from "./keeping/file-handle.ts";
import {
  findInterrupted,
  forgetSession,
  type Interrupted,
  interruptedOf,
  invitation,
} from "./keeping/interrupted.ts";
import { waitsUntil } from "./keeping/kept-session.ts";
import { createLog } from "./log.ts";
import { Login, takeToken } from "./login/login.ts";
import { LoginForm } from "./login/login-form.ts";
import { whyRefused } from "./login/refusal.ts";
import { LOGIN_ENDED, type PageState, READY, words, wordsFor } from "./page-state.ts";
import { startServing } from "./serving.ts";
import { loadConfigurations, type OfferedConfiguration } from "./slots/configurations.ts";
import { Trial } from "./media/trial.ts";

function element<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

const form = element<HTMLFormElement>("form");
const drop = element<HTMLLabelElement>("drop");
const input = element<HTMLInputElement>("file");
const choice = element<HTMLParagraphElement>("choice");
const select = element<HTMLSelectElement>("configuration");
const place = element<HTMLParagraphElement>("place");
const serveButton = element<HTMLButtonElement>("serve");
const stopButton = element<HTMLButtonElement>("stop");
const takeOverButton = element<HTMLButtonElement>("take-over");
const goOnButton = element<HTMLButtonElement>("go-on");
const logOutButton = element<HTMLButtonElement>("log-out");
const stateText = element<HTMLParagraphElement>("state");
const detail = element<HTMLParagraphElement>("detail");
const bytes = element<HTMLSpanElement>("bytes");
const log = createLog(element<HTMLOListElement>("log"));

const login = new Login();
const loginForm = new LoginForm(element("login"), logIn);

/** The file to be served; undefined while it cannot be read. */
let file: File | undefined;
/** By which the browser finds the chosen file again, if it can. */
let handle: FileHandle | undefined;
/** What waits on the other machine for its file to be chosen again. */
let interrupted: Interrupted | undefined;
let forgetting: ReturnType<typeof setTimeout> | undefined;
let trial: Trial | undefined;
let server: NBDServer | undefined;
/** The configurations that may be chosen; undefined until they are known. */
let configurations: OfferedConfiguration[] | undefined;
/** Whether the gateway wants a login before anything else. */
let isLocked = false;
/** Whether the gateway is being asked if it wants a login. */
let isAsking = false;
/** Goes on with what a login was missing for. */
let whenUnlocked: (() => void) | undefined;
let state: PageState = "idle";
let text = words.idle;

function show(next: PageState, nextText = words[next]) {
  state = next;
  text = nextText;
  render();
}

function render() {
  const running = server !== undefined;
  const isReady = configurations && (!isLocked || running);
  const instead = isLocked ? "locked" : "starting";
  stateText.dataset.state = isReady ? state : instead;
  const shown = isReady ? text : words[instead];
  // Screen readers read out a status that is set, even if it stays the same.
  if (stateText.textContent !== shown) stateText.textContent = shown;
  // A disabled button loses the focus; a keyboard user would have to look for it.
  const focused = document.activeElement;
  serveButton.disabled = running || !file || !configurations;
  stopButton.disabled = !running;
  select.disabled = running;
  input.disabled = running;
  form.hidden = isLocked && !running;
  takeOverButton.hidden = state !== "busy" && state !== "other";
  takeOverButton.textContent = state === "other" ? "Serve this one instead" : "Take over";
  detail.hidden = detail.textContent === "" || state !== "reconnecting";
  goOnButton.hidden = running || !interrupted?.handle;
  goOnButton.textContent = interrupted ? `Go on with ${interrupted.name}` : "";
  serveButton.classList.toggle("main", goOnButton.hidden);
  logOutButton.hidden = isLocked || !login.isKept;
  logOutButton.disabled = running;
  const isLost = (button: HTMLButtonElement) => focused === button && (button.disabled || button.hidden);
  if ([serveButton, stopButton, takeOverButton, goOnButton].some(isLost)) {
    [stopButton, serveButton, input].find(({ disabled }) => !disabled)?.focus();
  }
  drop.classList.toggle("busy", running);
}

function choose(
  chosen: File | undefined,
  { isFolder = false, by }: { isFolder?: boolean; by?: FileHandle | undefined } = {},
) {
  if (!chosen) return;
  trial?.end();
  handle = by;
  element("file-label").hidden = true;
  element("file-name").textContent = chosen.name;
  element("file-size").textContent = isFolder
    ? "A folder"
    : `${formatBytes(chosen.size)} (${chosen.size.toLocaleString("en")} bytes)`;
  if (!isFolder) {
    tryToRead(chosen);
    // That it is another file only the gateway can tell for sure.
    if (isAwaited(chosen)) serve();
    return;
  }
  file = undefined;
  show("unreadable", "Cannot be read: a folder cannot be served, choose a file");
}

/** Whether a file looks like the one that is waited for in the chosen place. */
function isAwaited({ name, size }: File): boolean {
  return (
    name === interrupted?.name && size === interrupted.size && select.value === interrupted.configuration
  );
}

/** Takes a chosen file as the one to serve, and says whether it can be read. */
function tryToRead(chosen: File, wasLogged = false) {
  let isLogged = wasLogged;
  // A fast user need not wait: a server looks at the file before it connects.
  file = chosen;
  trial = new Trial(chosen, {
    onslow: () => show("looking"),
    onfault(fault) {
      file = undefined;
      if (!isLogged) log(`${chosen.name} cannot be read: ${fault}`);
      isLogged = true;
      show("unreadable", `Cannot be read: ${fault}. Choose it again, or wait until it is back`);
    },
    onread() {
      file = chosen;
      if (interrupted) show("interrupted", `${READY}. ${invitation(interrupted)}`);
      else show("idle", READY);
    },
  });
  render();
}

/** The URL of the gateway or relay that this page came from, below whatever path a proxy has put it. */
function endpoint(configuration = select.value): string {
  const url = new URL(encodeURIComponent(configuration) || ".", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** @param more subprotocols, as that which asks for a place that somebody else has */
function serve(...more: string[]) {
  if (!file || server || !configurations || isLocked) return;
  trial?.end();
  const served = file;
  const configuration = select.value;
  const again = () => serve(...more);
  const running = startServing(
    { endpoint: endpoint(), file: served, handle, login, more },
    {
      log,
      onbytes: (read) => {
        bytes.textContent = formatBytes(read);
      },
      onstate(news) {
        const { state: next, line, wasOpen } = news;
        if (next === "ended" || next === "failed") server = undefined;
        if (next === "serving" || next === "ended") forgetInterrupted();
        if (next === "serving" && isLocked) void enter();
        if (next === "failed" && !wasOpen && sampleOf(served)?.isInDoubt) return tryToRead(served, true);
        const closed = next === "failed" ? closedAs(news.error) : undefined;
        if (closed) {
          show(closed.state, closed.text);
          return void afterRefusal(closed, configuration);
        }
        detail.textContent = next === "reconnecting" ? line : "";
        show(next, wordsFor(news));
        if (next === "reconnecting") void askForLogin(again);
        if (next === "failed" && !wasOpen) void explain(endpoint(), again);
      },
    },
  );
  server = running;
  render();
}

/** Says what can be done where a place is another's, or waits for another file. */
async function afterRefusal({ state: refused, text: why }: Closed, configuration: string) {
  forgetInterrupted();
  if (refused !== "other") return;
  const waiting = await interruptedOf(configuration, endpoint(configuration));
  if (!waiting || server || text !== why) return;
  remember(waiting);
  show(refused, `${why}. ${invitation(waiting)}`);
}

/** While the link is lost: asks for the token if it is that what is missing. */
async function askForLogin(again: () => void) {
  const running = server;
  if (!running || isLocked || isAsking) return;
  isAsking = true;
  const why = await whyRefused(running.endpoint, login.headers);
  isAsking = false;
  if (!why.wantsLogin || isLocked || server !== running || running.state !== "reconnecting") return;
  lock(LOGIN_ENDED, () => {
    // It tries again at once, as when the network is back.
    if (server) dispatchEvent(new Event("online"));
    else again();
  });
}

/** Takes note of what waits on the other machine, until it waits no more. */
function remember(waiting: Interrupted) {
  forgetInterrupted();
  interrupted = waiting;
  forgetting = setTimeout(() => {
    const wasShown = state === "interrupted";
    forgetInterrupted();
    log(`the other machine has waited for ${waiting.name} long enough`);
    if (wasShown) show("idle", file ? READY : words.idle);
    else render();
  }, waitsUntil(waiting) - Date.now());
}

function forgetInterrupted() {
  clearTimeout(forgetting);
  interrupted = undefined;
}

/** After the page was loaded: says what was served before. */
async function lookForInterrupted() {
  const waiting = await findInterrupted(configurations ?? [], endpoint);
  if (!waiting || server || interrupted) return;
  remember(waiting);
  select.value = waiting.configuration;
  showPlace();
  show("interrupted", invitation(waiting));
  // Firefox fills the field in again when a page is reloaded.
  const [again] = input.files ?? [];
  if (again && isAwaited(again)) choose(again);
}

/** Goes on with the file that the browser has kept. */
async function goOn() {
  const waiting = interrupted;
  if (!waiting?.handle || server) return;
  select.value = waiting.configuration;
  showPlace();
  try {
    choose(await fileOf(waiting.handle), { by: waiting.handle });
  } catch (error) {
    log(`${waiting.name} cannot be read: ${messageOf(error)}`);
    show("interrupted", `${waiting.name} cannot be read: choose it again`);
  }
}

/** Has the browser choose a file such that it can be found again after a reload. */
async function pick() {
  try {
    const by = await pickFile();
    if (by && !server) choose(await by.getFile(), { by });
  } catch (error) {
    log(`choosing a file: ${messageOf(error)}`);
    show("unreadable", `${words.unreadable}: ${messageOf(error)}`);
  }
}

/** Says more about a server that failed before it was connected. If it needs a login, `again` starts it after that. */
async function explain(url: string, again: () => void) {
  const failure = text;
  const why = await whyRefused(url, login.headers);
  log(`a plain request to the same address: ${why.words}`);
  // The user may have begun something else meanwhile.
  if (text !== failure) return;
  show("failed", `${failure}: ${why.words}`);
  if (why.wantsLogin) lock(LOGIN_ENDED, again);
}

/** Asks for the token, and says why; what is to go on after the login is done then. */
function lock(why?: string, next = whenUnlocked) {
  isLocked = true;
  whenUnlocked = next;
  login.forget();
  render();
  loginForm.show(why);
}

function unlock() {
  if (!isLocked) return;
  isLocked = false;
  loginForm.hide();
  render();
  [serveButton, stopButton, input].find(({ disabled }) => !disabled)?.focus();
  const next = whenUnlocked;
  whenUnlocked = undefined;
  next?.();
}

/** Finds out what may be chosen. Returns false if the gateway wants a login first. */
async function enter(): Promise<boolean> {
  const [offered] = await Promise.all([loadConfigurations(login.headers), streams]);
  if (!offered) return false;
  const isFirst = !configurations;
  const chosen = configurations ? select.value : offered.find(({ isDefault }) => isDefault)?.name;
  configurations = offered;
  select.replaceChildren(
    ...offered.map(({ name, label, isDefault }) => new Option(label, name, isDefault, name === chosen)),
  );
  choice.hidden = offered.length < 2;
  showPlace();
  render();
  unlock();
  if (isFirst) void lookForInterrupted();
  return true;
}

/** Logs in with a token. Returns why that was refused, in words. */
async function logIn(token: string): Promise<string | undefined> {
  const fault = await login.logIn(token);
  if (fault !== undefined) return fault;
  if (await enter()) return undefined;
  return "The token was right, but the next request was refused: does the browser block cookies?";
}

/** Begins, with the token in the page's URL if there is one. */
async function start() {
  const token = takeToken();
  const fault = token ? await login.logIn(token) : undefined;
  const hadLogin = login.isKept;
  if (!(await enter())) lock(fault ?? (hadLogin ? LOGIN_ENDED : ""));
  else if (fault !== undefined) log(`logging in with the token in the URL: ${fault}`);
}

async function logOut() {
  const fault = await login.logOut();
  if (fault !== undefined) return show("failed", `You are still logged in: ${fault}`);
  forgetInterrupted();
  await Promise.all((configurations ?? []).map(({ name }) => forgetSession(endpoint(name))));
  if (state === "interrupted") show("idle", file ? READY : words.idle);
  if (!(await enter())) lock();
}

input.addEventListener("click", (event) => {
  if (hasPicker) {
    event.preventDefault();
    return void pick();
  }
  // So that a file that has changed can be chosen again: the browser would see no change.
  input.value = "";
});
input.addEventListener("change", () => choose(input.files?.[0]));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  serve();
});
stopButton.addEventListener("click", () => server?.stop());
goOnButton.addEventListener("click", () => void goOn());
takeOverButton.addEventListener("click", () => serve("take-over"));
logOutButton.addEventListener("click", () => void logOut());

// Anywhere on the page: a file dropped beside the field would be opened in the page's place.
for (const type of ["dragenter", "dragover"] as const) {
  addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", !server);
  });
}
addEventListener("dragleave", () => drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const { files, items } = event.dataTransfer ?? {};
  const item = [...(items ?? [])].find(({ kind }) => kind === "file");
  const isFolder = item?.webkitGetAsEntry?.()?.isDirectory;
  // It is asked for in the event: later the event has forgotten its files.
  const handle = droppedHandle(item);
  const dropped = files?.[0];
  void handle.then((by) => {
    if (!server) choose(dropped, { isFolder, by });
  });
});
addEventListener("beforeunload", (event) => {
  // Leaving the page takes the disk away from the other machine.
  if (["serving", "unreadable", "reconnecting"].includes(server?.state ?? "")) event.preventDefault();
});

/** Loads what an old browser lacks of streams: twice as much code as the page itself, so only there. */
async function loadMissingStreams() {
  if (hasStreams) return;
  const script = "./js/polyfill.js";
  await import(script).catch((error) => log(`loading ${script}: ${messageOf(error)}`));
}

/** Says where the disk will be, if that is known. */
function showPlace() {
  const where = configurations?.find(({ name }) => name === select.value)?.place;
  place.textContent = where ? `Its place on the other machine: ${where}` : "";
  place.hidden = !where;
}

select.addEventListener("change", () => {
  showPlace();
  // Another place may be free.
  if (state === "busy" || state === "other") show("idle", READY);
});
element("late").remove();
render();
const streams = loadMissingStreams();
void start();
// Where the page is open already, the browser only changes the fragment.
addEventListener("hashchange", () => void start());

import { sampleOf } from "../src/export/blob-sample.ts";
import { NBDServer } from "../src/NBDServer.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { hasStreams } from "../src/streams/runtime.ts";
import { closedAs } from "./closed.ts";
import { loadConfigurations, type OfferedConfiguration } from "./configurations.ts";
import { formatBytes } from "./format-bytes.ts";
import { createLog } from "./log.ts";
import { Login, takeToken } from "./login.ts";
import { LoginForm } from "./login-form.ts";
import { LOGIN_ENDED, type PageState, READY, words } from "./page-state.ts";
import { whyRefused } from "./refusal.ts";
import { Trial } from "./trial.ts";

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
const logOutButton = element<HTMLButtonElement>("log-out");
const stateText = element<HTMLParagraphElement>("state");
const bytes = element<HTMLSpanElement>("bytes");
const log = createLog(element<HTMLOListElement>("log"));

const login = new Login();
const loginForm = new LoginForm(element("login"), logIn);

/** The file to be served; undefined while it cannot be read. */
let file: File | undefined;
let trial: Trial | undefined;
let server: NBDServer | undefined;
/** The configurations that may be chosen; undefined until they are known. */
let configurations: OfferedConfiguration[] | undefined;
/** Whether the gateway wants a login before anything else. */
let isLocked = false;
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
  const isReady = configurations && !isLocked;
  const instead = isLocked ? "locked" : "starting";
  stateText.dataset.state = isReady ? state : instead;
  const shown = isReady ? text : words[instead];
  // Screen readers read out a status that is set, even if it stays the same.
  if (stateText.textContent !== shown) stateText.textContent = shown;
  // A disabled button loses the focus; a keyboard user would have to look for it.
  const focused = document.activeElement;
  const running = server !== undefined;
  serveButton.disabled = running || !file || !configurations;
  stopButton.disabled = !running;
  select.disabled = running;
  input.disabled = running;
  form.hidden = isLocked && !running;
  takeOverButton.hidden = state !== "busy";
  logOutButton.hidden = isLocked || !login.isKept;
  logOutButton.disabled = running;
  const isLost = (button: HTMLButtonElement) => focused === button && (button.disabled || button.hidden);
  if ([serveButton, stopButton, takeOverButton].some(isLost)) {
    [stopButton, serveButton, input].find(({ disabled }) => !disabled)?.focus();
  }
  drop.classList.toggle("busy", running);
}

function choose(chosen: File | undefined, isFolder = false) {
  if (!chosen) return;
  trial?.end();
  element("file-label").hidden = true;
  element("file-name").textContent = chosen.name;
  element("file-size").textContent = isFolder
    ? "A folder"
    : `${formatBytes(chosen.size)} (${chosen.size.toLocaleString("en")} bytes)`;
  if (!isFolder) return tryToRead(chosen);
  file = undefined;
  show("unreadable", "Cannot be read: a folder cannot be served, choose a file");
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
      show("idle", READY);
    },
  });
  render();
}

/** The URL of the gateway or relay that this page came from, below whatever path a proxy has put it. */
function endpoint(): string {
  const url = new URL(encodeURIComponent(select.value) || ".", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** @param more subprotocols, as that which asks for a place that somebody else has */
function serve(...more: string[]) {
  if (!file || server || !configurations || isLocked) return;
  trial?.end();
  const served = file;
  const running = new NBDServer(endpoint(), served, { protocols: login.protocols(...more) });
  let lastLine = "";
  let isOpen = false;
  running.onlog = (line) => {
    lastLine = line;
    log(line);
  };
  const meter = setInterval(() => {
    bytes.textContent = formatBytes(running.counts.bytesRead);
  }, 250);
  running.onstate = (next) => {
    if (next === "waiting") isOpen = true;
    if (next === "ended" || next === "failed") {
      clearInterval(meter);
      bytes.textContent = formatBytes(running.counts.bytesRead);
      server = undefined;
    }
    if (next === "failed" && !isOpen && sampleOf(served)?.isInDoubt) return tryToRead(served, true);
    const closed = next === "failed" ? closedAs(running.error) : undefined;
    if (closed) return show(closed.state, closed.text);
    const isFault = next === "failed" || next === "unreadable";
    show(next, isFault ? `${words[next]}: ${lastLine}` : words[next]);
    if (next === "failed" && !isOpen) void explain(running.endpoint, () => serve(...more));
  };
  server = running;
  running.start();
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
function lock(why?: string, goOn = whenUnlocked) {
  isLocked = true;
  whenUnlocked = goOn;
  login.forget();
  render();
  loginForm.show(why);
}

function unlock() {
  if (!isLocked) return;
  isLocked = false;
  loginForm.hide();
  render();
  [serveButton, input].find(({ disabled }) => !disabled)?.focus();
  const goOn = whenUnlocked;
  whenUnlocked = undefined;
  goOn?.();
}

/** Finds out what may be chosen. Returns false if the gateway wants a login first. */
async function enter(): Promise<boolean> {
  const [offered] = await Promise.all([loadConfigurations(login.headers), streams]);
  if (!offered) return false;
  const chosen = configurations ? select.value : offered.find(({ isDefault }) => isDefault)?.name;
  configurations = offered;
  select.replaceChildren(
    ...offered.map(({ name, label, isDefault }) => new Option(label, name, isDefault, name === chosen)),
  );
  choice.hidden = offered.length < 2;
  showPlace();
  render();
  unlock();
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
  if (fault !== undefined) show("failed", `You are still logged in: ${fault}`);
  else if (!(await enter())) lock();
}

input.addEventListener("click", () => {
  // So that a file that has changed can be chosen again: the browser would see no change.
  input.value = "";
});
input.addEventListener("change", () => choose(input.files?.[0]));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  serve();
});
stopButton.addEventListener("click", () => server?.stop());
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
  if (!server) choose(files?.[0], isFolder);
});
addEventListener("beforeunload", (event) => {
  // Leaving the page takes the disk away from the other machine.
  if (server?.state === "serving" || server?.state === "unreadable") event.preventDefault();
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
  if (state === "busy") show("idle", READY);
});
element("late").remove();
render();
const streams = loadMissingStreams();
void start();
// Where the page is open already, the browser only changes the fragment.
addEventListener("hashchange", () => void start());

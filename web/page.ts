import { sampleOf } from "../src/export/blob-sample.ts";
import { NBDServer, type NBDServerState } from "../src/NBDServer.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { hasStreams } from "../src/streams/runtime.ts";
import { loadConfigurations, type OfferedConfiguration } from "./configurations.ts";
import { formatBytes } from "./format-bytes.ts";
import { createLog } from "./log.ts";
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
const stateText = element<HTMLParagraphElement>("state");
const bytes = element<HTMLSpanElement>("bytes");
const log = createLog(element<HTMLOListElement>("log"));

type PageState = NBDServerState | "starting" | "looking";

const words: Record<PageState, string> = {
  starting: "Starting…",
  idle: "No file chosen",
  looking: "Looking at the file…",
  connecting: "Connecting…",
  waiting: "Connected, waiting for the other machine…",
  serving: "Serving: the other machine can read the disk",
  unreadable: "Cannot be read",
  ended: "Ended: the other machine no longer has the disk",
  failed: "Failed",
};

/** The file to be served; undefined while it cannot be read. */
let file: File | undefined;
let trial: Trial | undefined;
let server: NBDServer | undefined;
/** The configurations that may be chosen; undefined until they are known. */
let configurations: OfferedConfiguration[] | undefined;
let state: PageState = "idle";
let text = words.idle;

function show(next: PageState, nextText = words[next]) {
  state = next;
  text = nextText;
  render();
}

function render() {
  stateText.dataset.state = configurations ? state : "starting";
  const shown = configurations ? text : words.starting;
  // Screen readers read out a status that is set, even if it stays the same.
  if (stateText.textContent !== shown) stateText.textContent = shown;
  // A disabled button loses the focus; a keyboard user would have to look for it.
  const focused = document.activeElement;
  const running = server !== undefined;
  serveButton.disabled = running || !file || !configurations;
  stopButton.disabled = !running;
  select.disabled = running;
  input.disabled = running;
  if ((focused === serveButton && serveButton.disabled) || (focused === stopButton && stopButton.disabled)) {
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
      show("idle", "Ready to serve");
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

function serve() {
  if (!file || server || !configurations) return;
  trial?.end();
  const served = file;
  const running = new NBDServer(endpoint(), served);
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
    const isFault = next === "failed" || next === "unreadable";
    show(next, isFault ? `${words[next]}: ${lastLine}` : words[next]);
    if (next === "failed" && !isOpen) void explain(running.endpoint);
  };
  server = running;
  running.start();
}

/** Says more about a server that failed before it was connected. */
async function explain(url: string) {
  const failure = text;
  const why = await whyRefused(url);
  log(`a plain request to the same address: ${why}`);
  // The user may have begun something else meanwhile.
  if (text === failure) show("failed", `${failure}: ${why}`);
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

select.addEventListener("change", showPlace);
element("late").remove();
render();
Promise.all([loadConfigurations(), loadMissingStreams()]).then(([offered]) => {
  configurations = offered;
  select.replaceChildren(
    ...offered.map(({ name, label, isDefault }) => new Option(label, name, isDefault, isDefault)),
  );
  choice.hidden = offered.length < 2;
  showPlace();
  render();
});

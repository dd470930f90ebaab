import { NBDServer, type NBDServerState } from "../src/NBDServer.ts";
import { loadConfigurations } from "./configurations.ts";
import { formatBytes } from "./format-bytes.ts";
import { createLog } from "./log.ts";

function element<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

const form = element<HTMLFormElement>("form");
const drop = element<HTMLLabelElement>("drop");
const input = element<HTMLInputElement>("file");
const choice = element<HTMLParagraphElement>("choice");
const select = element<HTMLSelectElement>("configuration");
const serveButton = element<HTMLButtonElement>("serve");
const stopButton = element<HTMLButtonElement>("stop");
const stateText = element<HTMLParagraphElement>("state");
const bytes = element<HTMLOutputElement>("bytes");
const log = createLog(element<HTMLOListElement>("log"));

const words: Record<NBDServerState, string> = {
  idle: "Ready to serve",
  connecting: "Connecting…",
  waiting: "Connected, waiting for the other machine…",
  serving: "Serving: the other machine can read the disk",
  ended: "Ended: the other machine no longer has the disk",
  failed: "Failed",
};

let file: File | undefined;
let server: NBDServer | undefined;

function show(state: NBDServerState, text = words[state]) {
  const running = state === "connecting" || state === "waiting" || state === "serving";
  stateText.dataset.state = state;
  stateText.textContent = text;
  // A button that is disabled loses the focus; whoever works by keyboard would have to look for it.
  const focused = document.activeElement;
  serveButton.disabled = running || !file;
  stopButton.disabled = !running;
  if (focused === serveButton && running) stopButton.focus();
  if (focused === stopButton && !running) serveButton.focus();
  select.disabled = running;
  input.disabled = running;
  drop.classList.toggle("busy", running);
}

function choose(chosen: File | undefined) {
  if (!chosen) return;
  file = chosen;
  element("file-name").textContent = chosen.name;
  element("file-size").textContent =
    `${formatBytes(chosen.size)} (${chosen.size.toLocaleString("en")} bytes)`;
  show("idle");
}

/** The gateway, or the relay, that this page came from. */
function endpoint(): string {
  const url = new URL(encodeURIComponent(select.value), new URL("/", location.href));
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function serve() {
  if (!file || server) return;
  const running = new NBDServer(endpoint(), file);
  let lastLine = "";
  running.onlog = (line) => {
    lastLine = line;
    log(line);
  };
  const meter = setInterval(() => {
    bytes.textContent = formatBytes(running.counts.bytesRead);
  }, 250);
  running.onstate = (state) => {
    show(state, state === "failed" ? `Failed: ${lastLine}` : words[state]);
    if (state !== "ended" && state !== "failed") return;
    clearInterval(meter);
    bytes.textContent = formatBytes(running.counts.bytesRead);
    server = undefined;
  };
  server = running;
  running.start();
}

input.addEventListener("click", () => {
  // A file that has changed can be chosen anew, which the browser would take for no change.
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
  if (!server) choose(event.dataTransfer?.files[0]);
});
addEventListener("beforeunload", (event) => {
  // Leaving the page takes the disk away from the other machine.
  if (server?.state === "serving") event.preventDefault();
});

loadConfigurations().then((configurations) => {
  select.replaceChildren(
    ...configurations.map(({ name, label, isDefault }) => new Option(label, name, isDefault, isDefault)),
  );
  choice.hidden = configurations.length < 2;
});

import { NBDServer } from "./nbd-proxy.js";

const url = `${location.origin.replace(/^http/, "ws")}/media/0`;
const names = ["file", "start", "stop", "state", "progress", "error"];
const [file, start, stop, state, progress, error] = names.map((id) => document.getElementById(id));
let server;

start.onclick = () => {
  const [image] = file.files;
  error.textContent = image ? "" : "choose a disk image first";
  if (!image) return;
  progress.textContent = "";
  server = new NBDServer(url, image, { onprogress });
  let words; // about the state that follows
  server.onlog = (line) => {
    words = line;
  };
  server.onstate = (now) => {
    state.textContent = now; // connecting, waiting, serving, unreadable, ended, failed
    error.textContent = now === "unreadable" || now === "failed" ? words : "";
    start.disabled = now !== "ended" && now !== "failed";
  };
  server.start();
};
stop.onclick = () => server?.stop();

function onprogress({ reads, bytesRead, bytesPerSecond, lastReadAt }) {
  const last = lastReadAt ? `, the last at ${new Date(lastReadAt).toLocaleTimeString()}` : "";
  progress.textContent = `${bytesRead} bytes in ${reads} reads${last}; ${bytesPerSecond} bytes/s`;
}

import type { PageWords } from "./page-words.ts";

export const page: PageWords = {
  language: "en",
  languageName: "English",
  texts: {
    title: "Virtual media",
    lead: "A disk image on this computer becomes a disk on the other machine. Nothing is uploaded: it is read as it is needed.",
    logIn: "Log in",
    logInHelp:
      "nbd-gateway prints a URL: paste it here, or the token after its #. The token is also in a file that nbd-gateway names.",
    token: "Token",
    show: "Show",
    logOut: "Log out",
    drives: "Drives of the other machine",
    servedBefore: "Served before",
    forgetAll: "Forget all",
    tellMe: "Notify me when serving stops",
    lacks: "What this browser lacks here",
    cancel: "Cancel",
    eject: "Eject",
    ejectTitle: "Eject what others serve?",
  },
  drive: (name, description, isDefault) => {
    if (name === "") return "Virtual drive";
    const called = description === "" ? name : `${name}: ${description}`;
    return isDefault ? `${called} (default)` : called;
  },
  starting: "Starting…",
  machine: (host, version) => (version === undefined ? host : `${host} · nbd-gateway ${version}`),
  gatewayLost: (why) => `What goes on there is not known now: ${why}. It is asked again`,
  gatewayBack: "The gateway answers again",
  login: {
    missing: "Not logged in",
    ended: "Your login has ended: log in again",
    wrong: "This is not the token of this gateway",
    tooMany: (seconds) =>
      `There were too many attempts with a wrong token: try again ${seconds === undefined ? "later" : `in ${seconds} s`}`,
    noAnswer: (host) => `there is no answer from ${host}`,
    refusedAfter: "The token was right, but the next request was refused: does the browser block cookies?",
    inUrl: (why) => `Logging in with the token in the URL: ${why}`,
    stillLoggedIn: (why) => `You are still logged in: ${why}`,
  },
  tab: {
    one: (headline, file) => (file === undefined ? headline : `${headline}: ${file}`),
    several: (headline, count) => `${headline} (${count})`,
  },
  drop: {
    onACard: "Drop the file on the drive that it is for",
    oneByOne: "Drop one file at a time",
    folder: "A folder cannot be served: drop a file",
  },
  before: {
    serve: (file, drive) => `Serve again: ${file}, as ${drive}`,
    serveShort: "Serve again",
    forget: (file) => `Forget ${file}`,
    forgetShort: "Forget",
    about: (size, drive, when) => `${size}, as ${drive}, ${when}`,
    gone: "This drive is not offered any more",
    cannot: (file, why) => `${file} cannot be read: ${why}`,
  },
  eject: {
    question: (drive, file, who) =>
      `${who ?? "Somebody else"} serves ${file ?? "an image"} as ${drive}. The other machine loses that disk at once.`,
    failed: (drive, why) => `${drive} was not ejected: ${why}`,
    done: (drive) => `${drive} was ejected`,
  },
  notice: {
    body: (file, drive) => `${file}, as ${drive}`,
    notAsked: "Then the browser also lets this tab work while you look elsewhere.",
    granted: "You are notified when serving stops.",
    denied:
      "The browser does not let this page notify you when serving stops: its settings for this page decide.",
  },
  lacks: {
    handles:
      "It does not keep where a file is: after a reload the file has to be chosen again, and nothing is listed as served before.",
    locks:
      "It has no locks for pages: a hidden tab may be put to sleep while it serves, so keep it in a window of its own.",
    storage: "It keeps nothing for this page: after a reload the page is a stranger to the gateway.",
    notifications: "It cannot notify you when serving stops.",
    sharing:
      "Its tabs do not share one connection to the gateway: with more than three or four of them open, the page may hang.",
  },
  insecure:
    "The page came over plain HTTP from another machine. Over https, or through a tunnel to localhost, the browser can do more.",
};

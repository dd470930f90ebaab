import type { PageWords } from "./page-words.ts";

export const page: PageWords = {
  language: "de",
  languageName: "Deutsch",
  texts: {
    title: "Virtuelle Medien",
    lead: "Ein Abbild auf diesem Rechner wird zum Laufwerk der Gegenseite. Nichts wird hochgeladen: Gelesen wird, was gebraucht wird.",
    logIn: "Anmelden",
    logInHelp:
      "nbd-gateway gibt eine URL aus: Hier einfügen, oder das Token nach dem #. Das Token steht auch in einer Datei, die nbd-gateway nennt.",
    token: "Token",
    show: "Zeigen",
    logOut: "Abmelden",
    drives: "Laufwerke der Gegenseite",
    servedBefore: "Schon angeboten",
    forgetAll: "Alle vergessen",
    tellMe: "Melden, wenn das Anbieten endet",
    lacks: "Was diesem Browser hier fehlt",
    cancel: "Abbrechen",
    eject: "Auswerfen",
    ejectTitle: "Auswerfen, was andere anbieten?",
  },
  drive: (name, description, isDefault) => {
    if (name === "") return "Virtuelles Laufwerk";
    const called = description === "" ? name : `${name}: ${description}`;
    return isDefault ? `${called} (Vorgabe)` : called;
  },
  starting: "Startet …",
  machine: (host, version) => (version === undefined ? host : `${host} · nbd-gateway ${version}`),
  gatewayLost: (why) => `Was dort geschieht, ist gerade nicht bekannt: ${why}. Es wird weiter gefragt`,
  gatewayBack: "Das Gateway antwortet wieder",
  login: {
    missing: "Nicht angemeldet",
    ended: "Die Anmeldung ist abgelaufen: bitte erneut anmelden",
    wrong: "Das ist nicht das Token dieses Gateways",
    tooMany: (seconds) =>
      `Zu viele Versuche mit einem falschen Token: ${seconds === undefined ? "später" : `in ${seconds} s`} erneut versuchen`,
    noAnswer: (host) => `${host} antwortet nicht`,
    refusedAfter:
      "Das Token stimmte, aber die nächste Anfrage wurde abgelehnt: Lässt der Browser keine Cookies zu?",
    inUrl: (why) => `Anmelden mit dem Token in der URL: ${why}`,
    stillLoggedIn: (why) => `Noch angemeldet: ${why}`,
  },
  tab: {
    one: (headline, file) => (file === undefined ? headline : `${headline}: ${file}`),
    several: (headline, count) => `${headline} (${count})`,
  },
  drop: {
    onACard: "Die Datei auf das Laufwerk ziehen, für das sie bestimmt ist",
    oneByOne: "Bitte eine Datei nach der anderen",
    folder: "Ein Ordner kann nicht angeboten werden: bitte eine Datei",
  },
  before: {
    serve: (file, drive) => `Erneut anbieten: ${file}, als ${drive}`,
    serveShort: "Erneut anbieten",
    forget: (file) => `Vergessen: ${file}`,
    forgetShort: "Vergessen",
    about: (size, drive, when) => `${size}, als ${drive}, ${when}`,
    gone: "Dieses Laufwerk gibt es nicht mehr",
    cannot: (file, why) => `${file} ist nicht lesbar: ${why}`,
  },
  eject: {
    question: (drive, file, who) =>
      `${who ?? "Jemand anderes"} bietet ${file ?? "ein Abbild"} als ${drive} an. Die Gegenseite verliert dieses Laufwerk sofort.`,
    failed: (drive, why) => `${drive} wurde nicht ausgeworfen: ${why}`,
    done: (drive) => `${drive} wurde ausgeworfen`,
  },
  notice: {
    body: (file, drive) => `${file}, als ${drive}`,
    notAsked: "Dann lässt der Browser diesen Tab auch arbeiten, während er verdeckt ist.",
    granted: "Es wird gemeldet, wenn das Anbieten endet.",
    denied:
      "Der Browser lässt Meldungen dieser Seite nicht zu: Das entscheiden seine Einstellungen für diese Seite.",
  },
  lacks: {
    handles:
      "Er merkt sich nicht, wo eine Datei liegt: Nach dem Neuladen muss sie erneut ausgewählt werden, und was schon angeboten wurde, wird nicht aufgeführt.",
    locks:
      "Er hat keine Sperren für Seiten: Ein verdeckter Tab kann einschlafen, während er anbietet; besser ein eigenes Fenster nehmen.",
    storage: "Er merkt sich nichts für diese Seite: Nach dem Neuladen kennt das Gateway sie nicht wieder.",
    notifications: "Er kann nicht melden, wenn das Anbieten endet.",
    sharing:
      "Seine Tabs teilen sich keine Verbindung zum Gateway: Sind mehr als drei oder vier offen, kann die Seite hängen.",
  },
  insecure:
    "Die Seite kam unverschlüsselt von einem anderen Rechner. Über https oder durch einen Tunnel zu localhost kann der Browser mehr.",
};

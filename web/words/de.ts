import type { Holder } from "../media/situation.ts";
import type { Units } from "../media/units.ts";
import type { UrlRemedy } from "../media/url-remedy.ts";
import type { MediaWords } from "./media-words.ts";

export const media: MediaWords = {
  language: "de",
  situation: {
    free: ({ lastError }, units) => ({
      headline: "Frei",
      cause:
        lastError && `Die letzte Sitzung schlug um ${units.minute(lastError.at)} fehl: ${lastError.words}`,
      remedy: "Ein Abbild auswählen, um zu beginnen",
    }),
    looking: ({ host }) =>
      host === undefined
        ? {
            headline: "Die Datei wird angesehen …",
            cause: "Es dauert lange: Liegt sie auf einem Netzlaufwerk?",
          }
        : { headline: "Die Adresse wird angesehen …", cause: `${host} wird nach dem Abbild gefragt` },
    "bad-file": ({ why }) => ({
      headline: "Die Datei ist nicht lesbar",
      cause: why,
      remedy: "Erneut auswählen oder warten, bis sie wieder da ist: Es wird jede Sekunde versucht",
    }),
    "bad-url": ({ why, remedy, isTriedAgain }) => ({
      headline: "Das Abbild ist unter dieser Adresse nicht zu haben",
      cause: why,
      remedy: isTriedAgain ? `${REMEDIES[remedy]}. Alle paar Sekunden wird es versucht` : REMEDIES[remedy],
    }),
    folder: () => ({
      headline: "Das ist ein Ordner",
      cause: "Nur eine einzelne Datei kann angeboten werden",
      remedy: "Ein Abbild auswählen, etwa eine ISO- oder IMG-Datei",
    }),
    ready: () => ({ headline: "Bereit" }),
    interrupted: ({ awaited: { name, until }, canGoOn }, units) => ({
      headline: `Die Gegenseite wartet auf ${name}`,
      cause: `Die Seite wurde währenddessen verlassen. Das Laufwerk wartet bis ${units.minute(until)}`,
      remedy: canGoOn
        ? "Fortsetzen oder dieselbe Datei erneut auswählen"
        : "Dieselbe Datei erneut auswählen, um fortzusetzen",
    }),
    held: ({ holder }, units) => ({
      headline: holder.state === "ending" ? "Wird ausgeworfen" : `Belegt von ${whoIs(holder)}`,
      cause: holding(holder, units),
      remedy: takingOver(holder),
    }),
    connecting: ({ host }) => ({ headline: "Verbinden …", cause: `Mit ${host}` }),
    waiting: ({ host }) => ({
      headline: "Verbunden, die Gegenseite ist noch nicht so weit …",
      cause: `${host} bindet das Laufwerk ein`,
    }),
    attached: ({ host }) => ({
      headline: "Eingebunden: Noch nichts gelesen",
      cause: `${host} hat das Laufwerk`,
      remedy: "Diese Seite geöffnet lassen",
    }),
    serving: ({ host, gap }, units) => ({
      headline: gap === undefined ? "In Betrieb" : "Wieder in Betrieb",
      cause:
        gap === undefined
          ? `${host} hat das Laufwerk`
          : `Die Verbindung mit ${host} war für ${units.span(gap)} unterbrochen`,
      remedy: "Diese Seite geöffnet lassen",
    }),
    unreadable: ({ why, isWebFile }) =>
      isWebFile
        ? {
            headline: "Das Abbild ist unter seiner Adresse nicht mehr lesbar",
            cause: why,
            remedy:
              "Es gibt Lesefehler, bis der Webserver es wieder liefert. Wurde es geändert, das Laufwerk auswerfen",
          }
        : {
            headline: "Die Datei ist nicht mehr lesbar",
            cause: why,
            remedy: "Dieselbe Datei zurücklegen: Es wird jede Sekunde versucht. Bis dahin gibt es Lesefehler",
          },
    lost: ({ host, until }, units) => ({
      headline: "Verbindung unterbrochen",
      cause: `Die Verbindung mit ${host} brach ab. Wer dort liest, wartet; keine Daten gehen verloren`,
      remedy: `Nichts zu tun: Es wird bis ${units.minute(until)} versucht`,
    }),
    "gateway-gone": ({ host, until }, units) => ({
      headline: "Das Gateway antwortet nicht",
      cause: `Unter ${host} antwortet nichts: Das Gateway wurde beendet, oder das Netz ist gestört`,
      remedy:
        until === undefined
          ? "nbd-gateway auf der Gegenseite wieder starten, dann erneut anbieten"
          : `nbd-gateway auf der Gegenseite wieder starten: Es wird bis ${units.minute(until)} versucht`,
    }),
    stopping: () => ({ headline: "Wird ausgeworfen …" }),
    stopped: ({ isAwaited, wasThere }) => ({
      headline: "Ausgeworfen",
      cause: isAwaited
        ? "Hier ausgeworfen, während die Verbindung fehlte: Die Gegenseite wartet noch eine Weile"
        : wasThere
          ? "Hier ausgeworfen: Die Gegenseite hat das Laufwerk nicht mehr"
          : "Hier ausgeworfen, bevor die Gegenseite das Laufwerk hatte",
    }),
    ejected: ({ host }) => ({
      headline: "Von der Gegenseite ausgeworfen",
      cause: `Jemand an ${host} hat es ordentlich beendet`,
      remedy: "Erneut anbieten, falls es noch gebraucht wird",
    }),
    "given-up": ({ host, why }) => ({
      headline: "Aufgegeben: Die Verbindung kam nicht zurück",
      cause: `${host}: ${why}`,
      remedy: "Nach dem Netz sehen, dann erneut anbieten",
    }),
    "in-use": ({ why, holder }, units) => ({
      headline: "Belegt",
      cause: holder ? `${why}. ${holding(holder, units)}` : why,
      remedy: holder ? takingOver(holder) : "Übernehmen oder warten, bis es frei ist",
    }),
    "taken-over": ({ why }) => ({
      headline: "Übernommen",
      cause: why,
      remedy: "Vor dem Zurückholen mit dem absprechen, der es jetzt hat",
    }),
    "another-medium": ({ why, awaited }) => ({
      headline: "Die Gegenseite wartet auf eine andere Datei",
      cause: why,
      remedy: awaited
        ? `${awaited.name} auswählen oder diese stattdessen anbieten: Was auf die andere wartet, bekommt Fehler`
        : "Diese stattdessen anbieten: Was auf die andere wartet, bekommt Fehler",
    }),
    refused: ({ why, wantsLogin }) => ({
      headline: "Abgelehnt",
      cause: why,
      remedy: wantsLogin ? "Anmelden, dann erneut anbieten" : "Die Ursache beheben, dann erneut anbieten",
    }),
    failed: ({ why }) => ({
      headline: "Fehlgeschlagen",
      cause: why,
      remedy: "Erneut anbieten. Schlägt es wieder fehl, sagt das Protokoll des Gateways mehr",
    }),
  },
  drive: "Virtuelles Laufwerk",
  on: (place) => `als ${place}`,
  choose: "Ein Abbild auswählen oder hierher ziehen",
  chooseAnother: "Ein anderes auswählen oder hierher ziehen",
  onlyRead: "ISO, IMG oder jede andere Datei. Sie bleibt auf diesem Rechner und wird nur gelesen",
  address: {
    label: "Oder die Adresse eines Abbilds",
    use: "Diese Adresse verwenden",
    from: (host) => `von ${host}`,
  },
  drop: {
    isServing: "Erst auswerfen: Eine andere Datei wird angeboten",
    oneByOne: "Bitte eine Datei nach der anderen",
  },
  bytes: (count) => `${count} Byte`,
  serve: "Anbieten",
  serveAgain: "Erneut anbieten",
  serveInstead: "Diese stattdessen anbieten",
  eject: "Auswerfen",
  takeOver: "Übernehmen",
  goOn: "Fortsetzen",
  lastRead: (time) => `Zuletzt gelesen um ${time}`,
  figures: {
    read: "Gelesen",
    readAndWritten: "Gelesen und geschrieben",
    requests: "Anfragen",
    latency: "Antwortzeit",
    mean: "Mittel",
    covered: "Vom Abbild gelesen",
    bytesRead: "Bytes gelesen",
    bytesWritten: "Bytes geschrieben",
    errors: "Fehlgeschlagene Anfragen",
    uptime: (time) => `Seit ${time}`,
    outstanding: "In Arbeit",
    hits: "Aus dem Cache",
    coveredOf: (covered, size) => `${covered} von ${size}`,
  },
  map: {
    title: "Karte des Abbilds",
    unread: "nicht gelesen",
    times: "gelesen, wie oft",
    written: "geschrieben",
    cached: "im Cache",
    cell: ({ from, to, times, written, cached }, units) =>
      [
        `${from} – ${to}`,
        `${times} × gelesen`,
        written > 0 && `${units.share(written)} geschrieben`,
        cached > 0 && `${units.share(cached)} im Cache`,
      ]
        .filter(Boolean)
        .join(", "),
    told: ({ read, written, cached, cellSize }, units) =>
      `Vom ersten Byte bis zum letzten, je Feld ${units.bytes(cellSize)}: ${units.share(read)} des Abbilds gelesen, ` +
      `${units.share(written)} geschrieben, ${units.share(cached)} im Cache`,
  },
  log: {
    title: "Protokoll",
    save: "Protokoll speichern",
    levels: { info: "Info", warning: "Warnung", error: "Fehler" },
    empty: "Noch ist nichts geschehen",
  },
  options: {
    title: "Optionen",
    cache: "Cache",
    none: "keiner",
    cacheHelp: "Speicher dieses Browsers für das, was oft gelesen wird",
    whileServing: "Änderbar, wenn nichts angeboten wird",
  },
  notes: {
    chosen: (name, size) => `${name} wurde ausgewählt, ${size}`,
    cannotRead: (name, why) => `${name} ist nicht lesbar: ${why}`,
    plainRequest: (words) => `eine einfache Anfrage an dieselbe Adresse: ${words}`,
  },
};

const REMEDIES: Readonly<Record<UrlRemedy, string>> = {
  address: "Die Adresse prüfen: Sie beginnt mit https:// oder http:// und führt zu einem Abbild",
  login: "Name und Kennwort vor den Rechner schreiben, als https://name:kennwort@rechner/abbild",
  "new-signature": "Ist die Adresse signiert, eine neue holen; sonst muss der Server es erlauben",
  header: "Den Server diese Kopfzeile senden lassen oder die Adresse im Terminal mit nbd-serve anbieten",
  https: "Eine https://-Adresse verwenden oder diese im Terminal mit nbd-serve anbieten",
  download: "Das Abbild herunterladen und die Datei auswählen",
  wait: "Nach Webserver und Netz sehen",
};

function whoIs({ isThisBrowser, address }: Holder): string {
  if (isThisBrowser) return "einem anderen Tab dieses Browsers";
  return address ?? "jemand anderem";
}

function holding({ state, file, size, since, until }: Holder, units: Units): string {
  const what = file === undefined ? "" : size === undefined ? file : `${file} (${units.bytes(size)})`;
  const how = {
    connecting: "wird eingebunden",
    attached: "eingebunden",
    waiting:
      until === undefined
        ? "Verbindung unterbrochen"
        : `Verbindung unterbrochen, wartet bis ${units.minute(until)}`,
    ending: "das Laufwerk wird entfernt",
  }[state];
  const from = since === undefined ? "" : `seit ${units.moment(since)}`;
  return [what, from, how].filter((part) => part !== "").join(", ");
}

function takingOver({ allowsTakeOver, isThisBrowser, state }: Holder): string | undefined {
  if (state === "ending") return undefined;
  if (isThisBrowser) return "Zu jenem Tab wechseln oder es hier mit einer Datei übernehmen";
  return allowsTakeOver
    ? "Eine Datei auswählen und übernehmen: Wer es hat, verliert das Laufwerk"
    : "Warten, bis es frei ist: Das Gateway erlaubt keine Übernahme";
}

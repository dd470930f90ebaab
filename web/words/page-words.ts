/** What this browser lacks, or does not give this page. */
export type Lack = "handles" | "locks" | "storage" | "notifications" | "sharing";

/** All that the page around the cards says, in one language. Names of files come in as they are to be shown. */
export interface PageWords {
  /** The language, as in `lang`, and as those who speak it call it. */
  readonly language: string;
  readonly languageName: string;
  /** Texts of index.html, by their `data-word`. */
  readonly texts: {
    readonly title: string;
    readonly lead: string;
    readonly logIn: string;
    readonly logInHelp: string;
    readonly token: string;
    readonly show: string;
    readonly logOut: string;
    readonly drives: string;
    readonly servedBefore: string;
    readonly forgetAll: string;
    readonly tellMe: string;
    readonly lacks: string;
    readonly cancel: string;
    readonly eject: string;
    readonly ejectTitle: string;
  };
  /** What a card is called. Its name is "" behind a relay, which offers one. */
  readonly drive: (name: string, description: string, isDefault: boolean) => string;
  readonly starting: string;
  readonly machine: (host: string, version: string | undefined) => string;
  /** The gateway does not answer as it should. */
  readonly gatewayLost: (why: string) => string;
  readonly gatewayBack: string;
  readonly login: {
    readonly missing: string;
    readonly ended: string;
    readonly wrong: string;
    readonly tooMany: (seconds: string | undefined) => string;
    readonly noAnswer: (host: string) => string;
    readonly refusedAfter: string;
    readonly inUrl: (why: string) => string;
    readonly stillLoggedIn: (why: string) => string;
  };
  readonly tab: {
    /** For the title, of one image and of several. */
    readonly one: (headline: string, file: string | undefined) => string;
    readonly several: (headline: string, count: number) => string;
  };
  readonly drop: {
    readonly onACard: string;
    readonly oneByOne: string;
    readonly folder: string;
  };
  readonly before: {
    /** The name of a button, for those who do not see where it stands. */
    readonly serve: (file: string, drive: string) => string;
    readonly serveShort: string;
    readonly forget: (file: string) => string;
    readonly forgetShort: string;
    readonly about: (size: string, drive: string, when: string) => string;
    readonly gone: string;
    readonly cannot: (file: string, why: string) => string;
  };
  readonly eject: {
    readonly question: (drive: string, file: string | undefined, who: string | undefined) => string;
    readonly failed: (drive: string, why: string) => string;
    readonly done: (drive: string) => string;
  };
  readonly notice: {
    readonly body: (file: string, drive: string) => string;
    /** What else consent is good for. */
    readonly notAsked: string;
    readonly granted: string;
    readonly denied: string;
  };
  readonly lacks: Readonly<Record<Lack, string>>;
  /** Why a browser lacks so much: the page came over plain HTTP. */
  readonly insecure: string;
}

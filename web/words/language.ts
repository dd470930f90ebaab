/** Chooses the first of the wished languages, as in `lang`, that there are words of; else the first that there is. */
export function chooseLanguage<L extends string>(there: readonly [L, ...L[]], wished: readonly string[]): L {
  for (const wish of wished) {
    const [language] = wish.toLowerCase().split("-");
    const found = there.find((one) => one === language);
    if (found) return found;
  }
  return there[0];
}

/** The languages that an element should speak: its own or that of what it stands in, then those that the browser prefers. */
export function wishedLanguages(element: Element): string[] {
  const { lang = "" } = element.closest<HTMLElement>("[lang]:not([lang=''])") ?? {};
  return [lang, ...navigator.languages];
}

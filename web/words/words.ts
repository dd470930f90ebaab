import { chooseLanguage } from "./language.ts";
import { page as german } from "./page-de.ts";
import { page as english } from "./page-en.ts";
import type { PageWords } from "./page-words.ts";

/** All languages that the page speaks. */
export const languages: Readonly<Record<"en" | "de", PageWords>> = { en: english, de: german };

/** Where a person's choice is kept. */
const KEY = "nbd-proxy language";

/** The page's words, in the language that a person has chosen, or that the browser prefers. */
export function pageWords(): PageWords {
  return languages[chooseLanguage(["en", "de"], [keptLanguage() ?? "", ...navigator.languages])];
}

/** Keeps a choice, for as long as the browser keeps anything. */
export function keepLanguage(language: string): void {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // It holds until the page is loaded again.
  }
}

function keptLanguage(): string | undefined {
  try {
    return localStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Says what index.html has, in the language of the words. What has the attribute `data-word` has no other content. */
export function translate({ language, texts }: PageWords): void {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll<HTMLElement>("[data-word]")) {
    one.textContent = texts[one.dataset.word as keyof PageWords["texts"]];
  }
}

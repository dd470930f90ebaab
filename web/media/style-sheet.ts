const sheets = new Map<string, CSSStyleSheet>();

/** A style sheet made of text, one for all who need it: a policy that forbids styles in documents allows it. */
export function styleSheet(text: string): CSSStyleSheet {
  let sheet = sheets.get(text);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    sheets.set(text, sheet);
  }
  return sheet;
}

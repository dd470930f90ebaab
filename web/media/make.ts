type Attributes = Readonly<Record<string, string | boolean>>;

/** Makes an element. A `part` of one name is its id too. An attribute that is true is there without a value; one that is false is not there. */
export function make<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  const { part } = attributes;
  if (typeof part === "string" && !part.includes(" ")) element.id = part;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

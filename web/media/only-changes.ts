/* Writes to a document only what is different there: what stays the same costs no layout, and no screen reader says it again. */

export function writeText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** @param value undefined: without the attribute */
export function writeAttribute(element: Element, name: string, value: string | undefined): void {
  if (value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function writeHidden(element: HTMLElement, isHidden: boolean): void {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

/** The text of an element that is not there when there is none. */
export function writeOptional(element: HTMLElement, text: string | undefined): void {
  writeText(element, text ?? "");
  writeHidden(element, !text);
}

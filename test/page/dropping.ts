/** Drops a file on an element: one of the browser's own, though it comes by a field and not by the mouse. */
import { inPage, type Tab } from "./tab.ts";

/** @param element an expression, for the tab */
export async function dropFile(tab: Tab, element: string, file: string): Promise<void> {
  await tab.evaluate(inPage(addField));
  await tab.upload(inPage(field), [file]);
  await tab.evaluate(`(${dropFrom})((${field})(), ${element})`);
}

/** The field through which a file comes to be dropped. */
function field(): HTMLElement | null {
  return document.querySelector("input.dropped");
}

function addField(): void {
  document.querySelector("input.dropped")?.remove();
  document.body.append(
    Object.assign(document.createElement("input"), { type: "file", className: "dropped" }),
  );
}

/** Drops what is in a field on an element, as if it was moved there. */
function dropFrom(from: HTMLInputElement, target: HTMLElement): void {
  const dataTransfer = new DataTransfer();
  for (const file of from.files ?? []) dataTransfer.items.add(file);
  from.remove();
  const carried = { dataTransfer, bubbles: true, cancelable: true, composed: true };
  for (const type of ["dragenter", "dragover", "drop"]) target.dispatchEvent(new DragEvent(type, carried));
}

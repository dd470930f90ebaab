import { type Dropped, droppedIn } from "../keeping/dropped.ts";

/** Takes what is dropped on the page and not on a card, which takes it itself: the browser would open it in the page's place. */
export function takeDrops(ondrop: (dropped: Dropped) => void): void {
  for (const type of ["dragenter", "dragover"] as const) {
    addEventListener(type, (event) => event.preventDefault());
  }
  addEventListener("drop", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    void droppedIn(event.dataTransfer).then((dropped) => dropped && ondrop(dropped));
  });
}

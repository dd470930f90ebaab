/** Lines that are kept. An endless log makes a page slow. */
const LINES = 200;

/** Makes a function that adds a line, with the time of day, to a list. */
export function createLog(list: HTMLOListElement): (line: string) => void {
  // What scrolls must be reachable by keyboard; not every browser sees to that itself.
  list.tabIndex = 0;
  return (line) => {
    const item = document.createElement("li");
    item.textContent = `${new Date().toLocaleTimeString()}  ${line}`;
    list.append(item);
    while (list.childElementCount > LINES) list.firstElementChild?.remove();
    list.scrollTop = list.scrollHeight;
  };
}

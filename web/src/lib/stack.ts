// Tables on a narrow screen: each cell carries the head of its column, so that rows can stand as cards (style.css).

/** Keep the cells of a table inside a node labelled, whatever comes and goes. */
export function stack(node: HTMLElement): { destroy: () => void } {
  const label = (): void => {
    for (const table of node.querySelectorAll('table')) {
      const heads = [...table.querySelectorAll('thead th')].map((head) => head.textContent?.trim() ?? '');
      for (const row of table.tBodies[0]?.rows ?? []) {
        [...row.cells].forEach((cell, i) => {
          if (cell.dataset.head !== heads[i]) cell.dataset.head = heads[i] ?? '';
        });
      }
    }
  };
  label();
  const watch = new MutationObserver(label);
  watch.observe(node, { childList: true, subtree: true, characterData: true });
  return { destroy: () => watch.disconnect() };
}

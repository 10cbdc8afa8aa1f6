// Which names fit what somebody typed: all words must be there; what is called so comes first, then what begins so.

export interface Item {
  name: string;
  says: string;
}

const squash = (text: string) => text.toLowerCase().replace(/[\s_.-]+/g, '');

export function matching(items: Item[], typed: string, most: number): Item[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean).map(squash);
  if (!words.length) return items.slice(0, most);
  const found: [number, Item][] = [];
  for (const item of items) {
    const name = squash(item.name);
    const all = name + squash(item.says);
    const rank = name === words.join('') ? 0 : name.startsWith(words[0]!) ? 1 : name.includes(words[0]!) ? 2 : 3;
    if (words.every((word) => all.includes(word))) found.push([rank, item]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, most).map(([, item]) => item);
}

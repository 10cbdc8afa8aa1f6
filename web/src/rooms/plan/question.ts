// From what the address says to a request of `plan`, and back to the spelling of a cluster.

export const usual = { model: 'llama-3-8b', cluster: '8xh100-sxm-80gb' };
const WHOLE = ['batch', 'seq', 'micro', 'top'] as const;
const WORDS = ['precision', 'optimizer', 'objective', 'stack', 'adapt'] as const;

export interface Question {
  model: string;
  cluster: string;
  [option: string]: unknown;
}

export function question(said: Record<string, string>): Question {
  const asked: Question = { model: said.model || usual.model, cluster: said.cluster || usual.cluster };
  for (const name of WHOLE) if (said[name] && Number(said[name]) > 0) asked[name] = Number(said[name]);
  for (const name of WORDS) if (said[name]) asked[name] = said[name];
  if (said.fix) asked.fix = said.fix.split('|').filter(Boolean);
  return asked;
}

/** The same question about one layout: what only a ranking needs is left out. */
export function oneLayout(asked: Question, layout: string): Question & { layout: string } {
  const { objective: _, top: __, fix: ___, ...rest } = asked;
  return { ...rest, layout };
}

/** The same question about every number of devices. */
export function scaling(asked: Question): Question {
  const { objective: _, top: __, fix: ___, ...rest } = asked;
  return rest;
}

/** Whether two questions differ in no more than what a slider moves, so that one's answer may stand for the other a moment. */
export function alike(asked: Question, other: object | undefined): boolean {
  const before = other as Question | undefined;
  return before !== undefined && before.model === asked.model && parts(before.cluster).device === parts(asked.cluster).device;
}

/** Devices in all and the device's name: 2x8xh100 is 16 of h100. */
export function parts(spelling: string): { count: number; device: string } {
  const counts = /^((?:\d+\s*x\s*)+)(.+)$/i.exec(spelling.trim());
  if (!counts) return { count: 1, device: spelling.trim() };
  const numbers = counts[1]!.split(/x/i).filter((word) => word.trim());
  return { count: numbers.reduce((all, word) => all * Number(word), 1), device: counts[2]!.trim() };
}

export function cluster(count: number, spelling: string): string {
  return `${count}x${parts(spelling).device}`;
}

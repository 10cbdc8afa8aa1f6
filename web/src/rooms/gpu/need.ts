// From what the address says to a request of `advise`.

export const usual = { model: 'resnet50' };
const AMOUNTS = ['budget', 'hours_per_week', 'years', 'per_kwh'] as const;
const WHOLE = ['most', 'batch', 'seq'] as const;
const WORDS = ['work', 'deadline', 'objective', 'memory', 'own', 'circuit', 'why_not', 'precision'] as const;
export const WAYS = ['new', 'used', 'rent', 'spot'] as const;

export function need(said: Record<string, string>): Record<string, unknown> {
  const asked: Record<string, unknown> = {};
  if (said.persona) asked.persona = said.persona;
  if (said.model || !said.persona) asked.model = said.model || usual.model;
  for (const name of [...AMOUNTS, ...WHOLE]) if (said[name] && Number(said[name]) >= 0) asked[name] = Number(said[name]);
  for (const name of WORDS) if (said[name]) asked[name] = said[name];
  if (said.get) asked.get = said.get.split('|').filter((way) => (WAYS as readonly string[]).includes(way));
  if (said.one_machine) asked.one_machine = true;
  return asked;
}

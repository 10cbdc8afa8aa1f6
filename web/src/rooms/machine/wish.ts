// From what the address says to a request of `rig` or `rig-check`.

export const usual = { device: 'rtx-3090', count: 4 };
const WORDS = ['objective', 'network', 'cooling', 'ram', 'storage', 'model', 'circuit', 'layout', 'preprocess'] as const;
const TRAINED = ['batch', 'seq'] as const;

export function gpus(said: Record<string, string>): string {
  const count = Number(said.count) || usual.count;
  const machines = Number(said.machines) || 1;
  return `${machines > 1 ? `${machines}x` : ''}${count}x${said.device || usual.device}`;
}

export function wish(said: Record<string, string>): Record<string, unknown> {
  const asked: Record<string, unknown> = { gpus: gpus(said) };
  for (const name of WORDS) if (said[name]) asked[name] = said[name];
  if (Number(said.budget) > 0) asked.budget = Number(said.budget);
  if (Number(said.limit) > 0) asked.limit = Number(said.limit);
  if (said.new) asked.new = true;
  if (said.keep) asked.keep = said.keep.split('|').filter(Boolean);
  if (said.model) for (const name of TRAINED) if (Number(said[name]) > 0) asked[name] = Number(said[name]);
  return asked;
}

export function checking(said: Record<string, string>): Record<string, unknown> {
  const asked: Record<string, unknown> = { parts_list: said.list ?? '' };
  for (const name of ['model', 'circuit'] as const) if (said[name]) asked[name] = said[name];
  if (Number(said.machines) > 1) asked.nodes = Number(said.machines);
  return asked;
}

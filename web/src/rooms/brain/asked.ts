// From what the address says to the requests of the brain's verbs.

type Said = Record<string, string>;
export const list = (text: string | undefined): string[] => (text ?? '').split('|').filter(Boolean);

export function brain(said: Said): Record<string, unknown> {
  return { ...(said.sets ? { sets: list(said.sets) } : {}), ...(said.include ? { include: list(said.include) } : {}) };
}

export function ahead(said: Said): Record<string, unknown> {
  const asked = brain(said);
  if (said.metric) asked.metric = said.metric;
  if (said.target) asked.target = said.target;
  if (said.limits) asked.limits = list(said.limits);
  return asked;
}

export function machines(said: Said): Record<string, unknown> {
  return { ...brain(said), ...(said.shape ? { shape: said.shape } : {}) };
}

/** Rates of spikes that the slider steps through, Hz. */
export const RATES = [1, 2, 5, 10, 20, 50, 100, 200];

export function neuron(said: Said): Record<string, unknown> {
  return { ...(said.cell ? { cell: said.cell } : {}), ...(Number(said.spikes) > 0 ? { rate: Number(said.spikes) } : {}) };
}

/** The inputs with one set anew, or left as they are shipped: "rate=200". */
export function withSet(text: string | undefined, name: string, value: string): string {
  const rest = list(text).filter((set) => !set.startsWith(`${name}=`));
  return (value ? [...rest, `${name}=${value}`] : rest).join('|');
}

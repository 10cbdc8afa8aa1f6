// From what the address says to a request of `run`.

export const STEPS = [20, 50, 100, 200, 400, 1000, 2000, 5000, 10000];

export function wanted(said: Record<string, string>): Record<string, unknown> {
  const asked: Record<string, unknown> = { task: said.task || 'digits' };
  if (said.layout) asked.layout = said.layout;
  for (const name of ['steps', 'batch', 'seed']) if (said[name] && Number.isInteger(Number(said[name]))) asked[name] = Number(said[name]);
  if (said.device) asked.device = said.device;
  return asked;
}

// From what the address says to a request of `split`, and lines of what travels over the batch.
import type { Split } from '../../lib/types';

export const RATES = ['40 Gbit/s', '10 Gbit/s', '100 Gbit/s', '400 Gbit/s', '8 GB/s', '32 GB/s', '300 GB/s'];

export function shape(said: Record<string, string>) {
  const whole = (name: string, usual: number) => Math.max(1, Math.round(Number(said[name]) || usual));
  return { batch: whole('batch', 128), inputs: whole('inputs', 1000), outputs: whole('outputs', 500), ranks: whole('ranks', 2) };
}

export function layer(said: Record<string, string>): Record<string, unknown> {
  const { batch, inputs, outputs, ranks } = shape(said);
  return { shape: `${batch}x${inputs}x${outputs}`, ranks, rate: said.rate || RATES[0] };
}

/** Numbers handed on at a batch: of data parallelism the gradients, whatever the batch; else a share for every sample. */
export function handedOn(found: Split, kind: string, batch: number): number {
  const one = found.splits.find((split) => split.kind === kind)!;
  return kind === 'data' ? one.elements : (one.elements / found.batch) * batch;
}

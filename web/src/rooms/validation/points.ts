// Choosing among the points of a back-test.
import type { Validation } from '../../lib/types';

/** What a metric of the tables is called, with its unit. */
export const METRICS: Record<string, string> = {
  ms: 'time of an operation or step, ms',
  step_s: 'step, s',
  images_per_s: 'images/s',
  tokens_per_s_per_gpu: 'tokens/s a GPU',
  tflops_per_gpu: 'TFLOP/s a GPU',
  mfu: 'MFU',
  hours: 'hours of a training',
  peak_mem_gib: 'peak memory, GiB',
  bus_gb_s: 'bus bandwidth, GB/s',
};

/** Values with how often they are there, the most frequent first. */
export function values(column: string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of column) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

export interface Filter {
  metric: string;
  source: string;
  device: string;
  flagged: boolean;
}

/** Places of the rows that a filter lets through. */
export function filtered(points: Validation['points'], want: Filter): number[] {
  const found: number[] = [];
  points.id.forEach((_, i) => {
    const right = points.metric[i] === want.metric && (!want.source || points.source[i] === want.source);
    if (right && (!want.device || points.device[i] === want.device) && (want.flagged || !points.flag[i])) found.push(i);
  });
  return found;
}

// What was measured at a setting, as rows to show.
import type { MeasuredRow, MeasuredSetting } from '../../lib/types';

export const KINDS: Record<string, string> = { product: 'products', conv: 'convolutions', attention: 'attention', recurrent: 'LSTM layers' };

export const setting = (s: MeasuredSetting): string =>
  `${s.ranks} rank${s.ranks > 1 ? 's' : ''} of ${s.threads} thread${s.threads > 1 ? 's' : ''}`;

/** The things that multiply, of a kind. */
export const rated = (rows: MeasuredRow[], kind: string): MeasuredRow[] => rows.filter((row) => row.kind === kind && row.rate);

/** The middle and the best of the rates of a kind, FLOP/s; nothing where none was timed. */
export function rates(rows: MeasuredRow[], kind: string): { middle: number; best: number } | undefined {
  const found = rated(rows, kind).map((row) => row.rate!).sort((a, b) => a - b);
  return found.length ? { middle: found[Math.floor(found.length / 2)]!, best: found.at(-1)! } : undefined;
}

/** The rate of the largest copy, bytes/s. */
export function copied(rows: MeasuredRow[]): MeasuredRow | undefined {
  return rows.filter((row) => row.kind === 'copy' && row.which === 'new').sort((a, b) => b.sizes.bytes! - a.sizes.bytes!)[0];
}

export const sizes = (row: MeasuredRow): string => Object.entries(row.sizes).map(([name, size]) => `${name} ${size}`).join(', ');

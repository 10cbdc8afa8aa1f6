// Amounts as the command line prints them: 1024 steps for memory, 1000 for all else. Unknown is said in words.

const UP = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
type Maybe = number | null | undefined;
export const UNKNOWN = 'unknown';

export function digits(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return powerOfTen(value);
  const places = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: size < 1 ? 3 : places });
}

export function powerOfTen(value: number): string {
  const [front = '0', back = '0'] = value.toExponential(2).split('e');
  const raised = String(Number(back)).replace(/[-0-9]/g, (c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'['0123456789'.indexOf(c)] ?? '⁻');
  return `${Number(front)}·10${raised}`;
}

function scaled(value: number, unit: string, step: number, ups: string[]): string {
  let at = 0;
  let rest = value;
  while (Math.abs(rest) >= step && at < ups.length - 1) {
    rest /= step;
    at += 1;
  }
  return `${digits(rest)} ${ups[at]}${unit}`;
}

export const number = (v: Maybe): string => (v == null ? UNKNOWN : Math.abs(v) < 1e5 ? digits(v) : whole(v));
export const whole = (v: Maybe): string =>
  v == null ? UNKNOWN : Math.abs(v) < 1e9 ? Math.round(v).toLocaleString('en') : powerOfTen(v);
export const percent = (v: Maybe, places = 1): string => (v == null ? UNKNOWN : `${(100 * v).toFixed(places)} %`);
export const gib = (v: Maybe): string => (v == null ? UNKNOWN : `${digits(v)} GiB`);
export const bytes = (v: Maybe): string =>
  v == null ? UNKNOWN : scaled(v, 'B', 1024, ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']);
export const rate = (v: Maybe): string => (v == null ? UNKNOWN : scaled(v, 'B/s', 1000, UP));
export const flops = (v: Maybe): string => (v == null ? UNKNOWN : scaled(v, 'FLOP/s', 1000, UP));
export const watts = (v: Maybe): string => (v == null ? UNKNOWN : scaled(v, 'W', 1000, UP));
export const joules = (v: Maybe): string => (v == null ? UNKNOWN : scaled(v, 'J', 1000, UP));
export const many = (v: Maybe): string => (v == null ? UNKNOWN : scaled(v, '', 1000, UP).trim());

export function usd(v: Maybe): string {
  if (v == null) return UNKNOWN;
  if (Math.abs(v) >= 1e7) return `$${powerOfTen(v)}`;
  if (Math.abs(v) >= 100) return `$${Math.round(v).toLocaleString('en')}`;
  return Math.abs(v) >= 0.1 || v === 0 ? `$${v.toFixed(2)}` : `$${Number(v.toPrecision(2))}`;
}

const TIMES: [number, string][] = [
  [31557600, 'years'],
  [86400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
];

export function seconds(v: Maybe): string {
  if (v == null) return UNKNOWN;
  if (v === 0) return '0 s';
  const [size, unit] = TIMES.find(([least]) => v >= least * (least > 1 ? 2 : 1)) ?? TIMES.at(-1)!;
  return `${digits(v / size)} ${unit}`;
}

export function between(low: Maybe, high: Maybe, show: (v: Maybe) => string): string {
  return `${show(low)} to ${show(high)}`;
}

/** words_like_this as people write them. */
export const words = (text: string): string => text.replaceAll('_', ' ');

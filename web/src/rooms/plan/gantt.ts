// A pipeline on a canvas: lanes of bars as columns, drawn in one path a colour; only what is in view is drawn.
import type { Stages } from '../../lib/types';

export interface Lane {
  name: string;
  start: number[];
  end: number[];
  kind: number[];
  says: (i: number) => string;
}

export interface Look {
  from: number;
  to: number;
  top: number;
  rowHeight: number;
  hues: string[];
  text: string;
  soft: string;
  line: string;
}

export const LEFT = 92;
export const FOOT = 34;
const KINDS = ['F', 'B', 'W'];
export const KIND_NAMES = ['forward', 'backward', 'weight gradients'];

/** The parts after the pipeline that take time, in the order in which they run. */
export function after(found: Stages): [string, number][] {
  return Object.entries(found.after_s).filter(([, seconds]) => seconds > 0);
}

/** One lane a stage, or one a rank. Ranks count tensor-parallel neighbours first, stages last. */
export function lanes(found: Stages, everyRank: boolean): Lane[] {
  const rest = after(found);
  const { dp, cp, tp } = found.ranks;
  const each = dp * cp * tp;
  return found.stages.flatMap((stage) => {
    let at = found.makespan_s;
    const start = [...stage.start];
    const end = [...stage.end];
    const kind = [...stage.kind].map((letter) => KINDS.indexOf(letter));
    rest.forEach(([, seconds], i) => {
      start.push(at);
      end.push((at += seconds));
      kind.push(KINDS.length + i);
    });
    const passes = stage.kind.length;
    const says = (i: number) =>
      i < passes
        ? `${KIND_NAMES[kind[i]!]} of micro-batch ${stage.micro[i]! + 1}${stage.chunk[i] ? `, piece ${stage.chunk[i]! + 1}` : ''}`
        : rest[i - passes]![0].replaceAll('_', ' ');
    const lane = { start, end, kind, says };
    if (!everyRank) return [{ ...lane, name: `stage ${stage.stage}` }];
    return Array.from({ length: each }, (_, r) => ({ ...lane, name: `rank ${stage.stage * each + r}` }));
  });
}

export function whole(found: Stages): number {
  return found.makespan_s + after(found).reduce((all, [, seconds]) => all + seconds, 0);
}

/** Ticks at 1, 2 or 5 times a power of ten, about `most` of them. */
export function ticks(from: number, to: number, most: number): number[] {
  const rough = (to - from) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let i = Math.ceil(from / step); i * step <= to; i++) found.push(i * step);
  return found;
}

export function draw(canvas: HTMLCanvasElement, all: Lane[], look: Look, show: (seconds: number) => string): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext('2d')!;
  pen.scale(scale, scale);
  pen.font = '12px system-ui, "DejaVu Sans", sans-serif';
  const across = (t: number) => LEFT + ((t - look.from) / (look.to - look.from)) * (width - LEFT - 8);
  const bottom = height - FOOT;
  axis(pen, look, across, width, height, show);
  pen.save();
  pen.beginPath();
  pen.rect(LEFT, 0, width - LEFT, bottom);
  pen.clip();
  bars(pen, all, look, across, bottom);
  pen.restore();
  labels(pen, all, look, bottom);
}

function bars(pen: CanvasRenderingContext2D, all: Lane[], look: Look, across: (t: number) => number, bottom: number): void {
  const first = Math.max(0, Math.floor(look.top / look.rowHeight));
  const last = Math.min(all.length, Math.ceil((look.top + bottom) / look.rowHeight));
  const paths = look.hues.map(() => new Path2D());
  for (let row = first; row < last; row++) {
    const lane = all[row]!;
    const y = row * look.rowHeight - look.top + 1;
    for (let i = 0; i < lane.start.length; i++) {
      if (lane.end[i]! < look.from || lane.start[i]! > look.to) continue;
      const x = across(lane.start[i]!);
      const wide = across(lane.end[i]!) - x;
      paths[lane.kind[i]! % paths.length]!.rect(x, y, Math.max(wide - (wide > 3 ? 1 : 0), 0.5), look.rowHeight - 2);
    }
  }
  paths.forEach((path, i) => {
    pen.fillStyle = look.hues[i]!;
    pen.fill(path);
  });
}

function labels(pen: CanvasRenderingContext2D, all: Lane[], look: Look, bottom: number): void {
  pen.fillStyle = look.text;
  pen.textAlign = 'right';
  pen.textBaseline = 'middle';
  const every = Math.max(1, Math.ceil(13 / look.rowHeight));
  for (let row = 0; row < all.length; row += every) {
    const y = (row + 0.5) * look.rowHeight - look.top;
    if (y > 2 && y < bottom - 2) pen.fillText(all[row]!.name, LEFT - 8, y);
  }
}

function axis(
  pen: CanvasRenderingContext2D,
  look: Look,
  across: (t: number) => number,
  width: number,
  height: number,
  show: (seconds: number) => string,
): void {
  const bottom = height - FOOT;
  pen.strokeStyle = look.line;
  pen.fillStyle = look.soft;
  pen.textAlign = 'center';
  pen.textBaseline = 'top';
  pen.lineWidth = 1;
  for (const t of ticks(look.from, look.to, (width - LEFT) / 110)) {
    const x = Math.round(across(t)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, bottom);
    pen.stroke();
    if (x > LEFT - 1 && x < width - 24) pen.fillText(show(t), x, bottom + 6);
  }
}

/** The bar below a point, by lane and place; undefined between bars. */
export function under(all: Lane[], look: Look, width: number, x: number, y: number): [Lane, number] | undefined {
  const lane = all[Math.floor((y + look.top) / look.rowHeight)];
  const t = look.from + ((x - LEFT) / (width - LEFT - 8)) * (look.to - look.from);
  const i = lane ? lane.start.findIndex((start, n) => start <= t && t < lane.end[n]!) : -1;
  return lane && x >= LEFT && i >= 0 ? [lane, i] : undefined;
}

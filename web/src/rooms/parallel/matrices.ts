// Matrices as boxes: sizes drawn by their square roots, pieces by who holds them.
import type { Product, Split } from '../../lib/types';

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
  size: [number, number];
  held: [number, number][];
  added: boolean;
}

const SIDE = 92;

function side(n: number, most: number): number {
  return Math.max(12, SIDE * Math.sqrt(n / most));
}

/** The boxes of left, right and result; the whole of left and right follows from the layer's sizes. */
export function sizesOf(product: Product, found: Split): Box[] {
  const { batch: b, inputs: i, outputs: o } = found;
  const wholes: Record<string, [number, number][]> = {
    forward: [[b, i], [i, o], [b, o]],
    backward: [[b, o], [o, i], [b, i]],
    gradient: [[i, b], [b, o], [i, o]],
  };
  const most = Math.max(b, i, o);
  const held = [product.left, product.right, product.result];
  return wholes[product.of]!.map((size, place) => {
    const [h, w] = [side(size[0], most), side(size[1], most)];
    return { x: 8 + place * 118 + (SIDE - w) / 2, y: 4 + (SIDE - h) / 2, w, h, size, held: held[place]!, added: place === 2 && product.combine === 'add' };
  });
}

export interface Piece {
  x: number;
  y: number;
  w: number;
  h: number;
  rank: number;
  faint: boolean;
}

/** Stripes where ranks hold pieces; where all hold the whole, or parts are to be added, thin layers of every rank. */
export function pieces(box: Box): Piece[] {
  const ranks = box.held.length;
  const byRows = box.held.some(([rows]) => rows < box.size[0]);
  const byColumns = box.held.some(([, columns]) => columns < box.size[1]);
  const found: Piece[] = [];
  let done = 0;
  box.held.forEach(([rows, columns], rank) => {
    const share = byRows ? rows / box.size[0] : byColumns ? columns / box.size[1] : 1 / ranks;
    const at = done;
    done += share;
    if (byColumns && !byRows) found.push({ x: box.x + at * box.w, y: box.y, w: share * box.w, h: box.h, rank, faint: box.added });
    else found.push({ x: box.x, y: box.y + at * box.h, w: box.w, h: share * box.h, rank, faint: !byRows });
  });
  return found;
}

import { describe, expect, it } from 'vitest';
import { keyOf } from '../src/lib/api';
import { csv } from '../src/lib/csv';
import { matching } from '../src/lib/matching';
import { nearest, powers } from '../src/lib/steps';
import * as u from '../src/lib/units';
import { alike, cluster, oneLayout, parts, question } from '../src/rooms/plan/question';
import { pieces, sizesOf } from '../src/rooms/parallel/matrices';
import { inside, reads } from '../src/rooms/convolution/grid';
import { ticks } from '../src/rooms/plan/gantt';

describe('amounts', () => {
  it.each([
    [u.seconds(0.0042), '4.2 ms'],
    [u.seconds(90), '90 s'],
    [u.seconds(7200), '2 h'],
    [u.bytes(1.5 * 2 ** 30), '1.5 GiB'],
    [u.usd(0.8), '$0.80'],
    [u.usd(12345), '$12,345'],
    [u.flops(9.89e14), '989 TFLOP/s'],
    [u.number(null), 'unknown'],
    [u.percent(0.125), '12.5 %'],
    [u.powerOfTen(1.075e21), '1.08·10²¹'],
  ])('%s is %s', (shown, wanted) => expect(shown).toBe(wanted));
});

describe('the question of the plan', () => {
  it('reads clusters as people write them', () => {
    expect(parts('2x8xh100')).toEqual({ count: 16, device: 'h100' });
    expect(parts('H100')).toEqual({ count: 1, device: 'H100' });
    expect(cluster(32, '2x8xh100')).toBe('32xh100');
  });
  it('says only what was said', () => {
    expect(question({ model: 'gpt2', batch: '64', junk: '1' })).toEqual({ model: 'gpt2', cluster: '8xh100-sxm-80gb', batch: 64 });
    expect(oneLayout(question({ objective: 'cost' }), 'dp=8')).not.toHaveProperty('objective');
  });
  it('lets an answer stand for a moment only where a slider moved', () => {
    const asked = question({ model: 'gpt2', cluster: '8xh100' });
    expect(alike(asked, question({ model: 'gpt2', cluster: '16xh100', batch: '8' }))).toBe(true);
    expect(alike(asked, question({ model: 'gpt3', cluster: '8xh100' }))).toBe(false);
  });
});

describe('small things', () => {
  it('keys do not depend on order', () => expect(keyOf('plan', { b: 1, a: 'x' })).toBe(keyOf('plan', { a: 'x', b: 1, c: undefined })));
  it('finds names by words', () => {
    const items = ['llama-3-8b', 'gpt2', 'gpt2-medium'].map((name) => ({ name, says: '' }));
    expect(matching(items, 'gpt2 med', 9).map((item) => item.name)).toEqual(['gpt2-medium']);
    expect(matching(items, 'llama3', 9)).toHaveLength(1);
  });
  it('steps by ratio', () => expect(nearest(powers(1, 64), 23)).toBe(5));
  it('quotes cells', () => expect(csv(['a'], [['x,"y"'], [null]])).toBe('a\n"x,""y"""\n\n'));
  it('ticks lie on round numbers', () => expect(ticks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]));
});

describe('matrices', () => {
  const product = { of: 'forward', left: [[64, 10], [64, 10]], right: [[10, 5], [10, 5]], result: [[64, 5], [64, 5]], whole: [128, 5], combine: 'own', handed_on: [0, 0], ring_elements: 0 };
  it('cut what ranks share out, and lay whole ones in pale layers', () => {
    const boxes = sizesOf(product as never, { batch: 128, inputs: 10, outputs: 5, ranks: 2 } as never);
    expect(boxes.map((box) => pieces(box).map((piece) => piece.faint))).toEqual([[false, false], [true, true], [false, false]]);
    for (const box of boxes) expect(pieces(box).reduce((all, piece) => all + piece.w * piece.h, 0)).toBeCloseTo(box.w * box.h);
  });
});

describe('the inputs of an output', () => {
  it('lie stride apart, dilation between them, less the padding', () => {
    expect(reads([2, 3], [1, 0], { stride: 2, padding: 1, dilation: 2 })).toEqual([5, 5]);
    expect(reads([0, 0], [0, 0], { stride: 1, padding: 1, dilation: 1 })).toEqual([-1, -1]);
  });
  it('stay inside the table', () => expect(inside([-1, 9], 4, 4)).toEqual([0, 3]));
});

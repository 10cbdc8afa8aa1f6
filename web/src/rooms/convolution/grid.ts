// Which inputs an output of a convolution reads.

export interface Step {
  stride: number;
  padding: number;
  dilation: number;
}

/** Row and column in the input of a tap; in the padding where it lies outside. */
export function reads([y, x]: [number, number], [r, s]: [number, number], { stride, padding, dilation }: Step): [number, number] {
  return [y * stride + r * dilation - padding, x * stride + s * dilation - padding];
}

/** A place inside a table of so many rows and columns. */
export function inside(place: [number, number], rows: number, columns: number): [number, number] {
  const bound = (value: number, n: number) => Math.max(0, Math.min(n - 1, value));
  return [bound(place[0], rows), bound(place[1], columns)];
}

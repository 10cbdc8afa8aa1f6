// The values that sliders step through.

export function powers(least: number, most: number): number[] {
  const found = [];
  for (let value = least; value <= most; value *= 2) found.push(value);
  return found;
}

/** The place of the value that is nearest by ratio. */
export function nearest(values: number[], value: number): number {
  let best = 0;
  values.forEach((other, i) => {
    if (Math.abs(Math.log(other / value)) < Math.abs(Math.log(values[best]! / value))) best = i;
  });
  return best;
}

// What a convolution runs on, and the algorithms that there are.

export const ALGORITHMS = ['implicit', 'im2col', 'direct', 'winograd-2', 'winograd-4', 'fft', 'fft-tiles'];
export const SHORT: Record<string, string> = { implicit: 'implicit', im2col: 'im2col', direct: 'direct', 'winograd-2': 'wino 2', 'winograd-4': 'wino 4', fft: 'fft', 'fft-tiles': 'tiles' };

export function on(said: Record<string, string>): { device: string; batch: number } {
  return { device: said.device || 'h100-sxm-80gb', batch: Math.max(1, Math.round(Number(said.batch) || 32)) };
}

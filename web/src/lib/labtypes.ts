// What the verbs of runs and of the convolution laboratory answer; units are in the names, as in types.ts.
import type { Estimate, Same } from './types';

export interface RunStep {
  step: number;
  loss: number;
  step_s: number;
  samples_per_s: number;
  tokens_per_s: number | null;
  mfu: number | null;
  memory: number;
}

export interface RunReport extends Same {
  task: string;
  batch: number;
  steps: number;
  losses: number[];
  step_s: number;
  samples_per_s: number;
  tokens_per_s: number | null;
  mfu: number | null;
  time_s: Record<string, number>;
  peak_memory_gib: number;
  log: string;
  checkpoint: string;
  world: number;
  device: string;
  warnings: string[];
  slowest_rank: number;
  slowest_ratio: number;
  predicted: Estimate | null;
  why_not_predicted: string;
  comparison: { part: string; unit: 's' | 'B'; predicted: number | null; interval: [number, number] | null; measured: number }[];
}

export interface Runs extends Same {
  tasks: { name: string; says: string }[];
  runs: {
    name: string;
    when: string;
    task: string;
    layout: string;
    batch: number;
    steps: number;
    step_s: number;
    samples_per_s: number;
    world: number;
    device: string;
    first_loss: number;
    last_loss: number;
  }[];
}

export interface Kernel {
  name: string;
  size: [number, number];
  values: number[][];
  sum: number;
  is_density: boolean;
  rank: number;
  says: string;
  source: string;
}

export interface Pixel extends Same {
  image: string;
  kernel: Kernel;
  kind: string;
  stride: number;
  padding: number;
  dilation: number;
  input: number[][];
  laid: number[][];
  output: number[][];
}

export interface Features extends Same {
  image: string;
  image_size: [number, number, number];
  image_mean: number;
  maps: { kernel: Kernel; shape: number[]; least: number; greatest: number; mean: number }[];
  drawing: { image: string; maps: string[] };
}

export interface Spectrum extends Same {
  size: [number, number];
  radius: number;
  bins: number;
  bins_kept: number;
  share_of_bins: number;
  share_of_energy_low: number;
  share_of_energy_high: number;
  share_of_energy_low_without_mean: number;
  drawing: Record<'image' | 'spectrum' | 'low' | 'high' | 'kept', string>;
}

export interface WinMap extends Same {
  channels: [number, number];
  device: string;
  precision: string;
  batch: number;
  interval_factor: number;
  cells: { kernel: number; size: number; winner: string; seconds: Record<string, number | null> }[];
}

export interface ConvLayers extends Same {
  model: string;
  layers: { name: string; count: number; channels: [number, number]; size: number[]; kernel: number[] }[];
}

export interface ConvLayer extends Same {
  layer: string;
  channels: [number, number];
  size: number[];
  kernel: number[];
  stride: number[];
  output: number[];
  receptive_field: number[] | null;
  receptive_field_exact: boolean | null;
  weights: number;
  batch: number;
  device: string;
  precision: string;
  flops: number;
  bytes: number;
  intensity: number;
  balance: number;
  seconds: Record<string, Record<string, number | null>>;
  why_not: Record<string, string>;
  winner: Record<string, string>;
  library_s: Record<string, number>;
  interval_factor: number;
  basis: string;
}

// What the verbs answer; the fields that the page reads. Units are in the names: _s seconds, _gib GiB, _usd dollars.

export interface Same {
  same: { command: string; python: string };
}

export interface Estimate {
  spelling: string;
  layout: Record<string, unknown>;
  step_s: number;
  interval: [number, number];
  samples_per_s: number;
  tokens_per_s_per_device: number | null;
  mfu: number | null;
  memory_gib: Record<string, number>;
  fits: boolean;
  time_s: Record<string, number>;
  energy_j: number | null;
  cost_usd: number | null;
  basis: string;
  warnings: string[];
}

export interface Subject extends Same {
  model: string;
  cluster: string;
  resolved: string;
  batch: number;
  seq: number | null;
  optimizer: string;
  stack: string;
}

export interface Plan extends Subject {
  objective: string;
  layouts: Estimate[];
  pareto: Estimate[];
  why: string[];
  walked_step_s: number;
  search: { considered: number; legal: number; feasible: number; seconds: number };
}

export type OneLayout = Subject & Estimate & { error?: string; says?: string; rule?: string; nearest?: string };

export interface Stage {
  stage: number;
  kind: string;
  micro: number[];
  chunk: number[];
  start: number[];
  end: number[];
}

export interface Stages extends Subject {
  spelling: string;
  stages: Stage[];
  ranks: { pp: number; dp: number; cp: number; tp: number };
  micros: number;
  walked: number;
  makespan_s: number;
  pipeline_s: number;
  bubble_share: number;
  after_s: Record<string, number>;
  walked_step_s: number;
  memory_by_stage: ({ stage: number } & Record<string, number>)[];
  memory_limit_gib: number;
}

export interface Names {
  version: string;
  models: string[];
  devices: { name: string; says: string; vendor: string; year: number; memory_bytes: number; watts: number | null }[];
  personas: Record<string, string>;
  works: Record<string, string>;
  precisions: string[];
  optimizers: string[];
  brain_inputs: string[];
  kernels: Record<string, string>;
}

export interface Choice {
  what: string;
  device: string;
  count: number;
  condition: string;
  price_usd: number | null;
  usd_per_hour: number;
  throughput: number;
  unit: string;
  interval: [number, number];
  time_s: number | null;
  spelling: string;
  memory_limit_gib: number;
  watts: number | null;
  cost_usd: Record<string, number>;
  spend_usd: number;
  usd_per_million: number;
  price: { usd: number; date: string; old: boolean; estimated: boolean; source: string } | null;
  reasons: string[];
  warnings: string[];
}

export interface Advice extends Same {
  need: { model: string; persona: string; batch: number; work: number | null; unit: string; goal: string; years: number; hours_per_week: number };
  date: string;
  choices: Choice[];
  pareto: Choice[];
  path: { steps: { question: string; fact: string; answer: string }[]; says: string };
  break_even: { buy: string; rent: string; rent_usd_per_hour: number; use: number; hours: number | null; days: number | null; rent_usd: number; own_usd: number } | null;
  refused: Record<string, string>;
  search: { devices: number; machines: number; candidates: number; seconds: number };
  why_not?: string[];
}

export interface Bar {
  device: string;
  name: string;
  memory_bytes: number;
  throughput: number;
  relative: number;
  price_usd: number | null;
  condition: string;
  relative_per_usd: number | null;
  measured: boolean;
}

export interface Seat {
  name: string;
  slot?: number | null;
  lanes?: number;
  gen?: number;
  socket?: number;
  switch?: string;
  chipset?: boolean;
}

export interface Drawing {
  machines: number;
  sockets: { name: string; says: string }[];
  ram_bytes: number;
  ram_bytes_per_s: number | null;
  disk_bytes_per_s: number | null;
  modules: boolean;
  gpus: Seat[];
  nics: (Seat & { bits_per_s: number })[];
  ways: { way: string; pairs: number; bytes_per_s: number }[];
  fabric: string[];
}

export interface Part {
  kind: string;
  name: string;
  count: number;
  price_usd: number | null;
  condition: string;
  watts: number | null;
  reason: string;
  alternatives: { name: string; more_usd: number }[];
  source: string;
}

export interface Finding {
  severity: 'error' | 'warning' | 'waste' | 'note';
  rule: string;
  says: string;
  fix: string;
  money_usd: number | null;
}

export interface Machine extends Same {
  nodes: number;
  parts: Part[];
  findings: Finding[];
  passes: boolean;
  total: { price_usd: number | null; watts: number; heat_btu_per_h: number; noise_db: number | null; usd_per_hour: number; electricity_usd_3_years: number };
  lanes: number;
  pcie_gen: number;
  step_s: number | null;
  interval: [number, number] | null;
  proof: { says: string } | null;
  drawing: Drawing;
}

export interface Product {
  of: string;
  left: [number, number][];
  right: [number, number][];
  result: [number, number][];
  whole: [number, number];
  combine: 'own' | 'add' | 'stack';
  handed_on: number[];
  ring_elements: number;
}

export interface Split extends Same {
  batch: number;
  inputs: number;
  outputs: number;
  ranks: number;
  element_bytes: number;
  splits: {
    kind: string;
    products: Product[];
    elements: number;
    bytes: number;
    ring_bytes: number;
    seconds: { decimal: number; binary: number } | null;
    memory_bytes: Record<string, number[]>;
  }[];
  refused: Record<string, string>;
  break_even_batch: Record<string, number>;
  least: string;
  rate: number | null;
  warnings: string[];
}

export interface Quantity {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
}

export interface Brain extends Same {
  draws: number;
  include: string[];
  left_out: string[];
  flops: Quantity;
  memory: Quantity;
  bandwidth: Quantity;
  terms: Record<string, Quantity & { region: string }>;
  tornado: { name: string; low: number; high: number; at_low: number; at_high: number; swing: number }[];
  parameters: Record<string, Quantity & { says: string; distribution: string; checked: string; note: string }>;
  cannot_say: string[];
}

export interface Forecast extends Same {
  metric: string;
  says: string;
  until: number;
  target: Quantity;
  crossing: { limits: string[]; year: Quantity; none: number; chance_by: Record<string, number> };
  by_limit: { limits: string[]; year: Quantity; none: number }[];
  fan: ({ year: number } & Quantity)[];
  scenarios: { name: string; year: number | null; stated: number | null; years_per_doubling: number; source: string }[];
  cannot_say: string[];
}

export interface Comparison extends Same {
  methods: ({ key: string; name: string; year: number; published: number[] | number | null; reproduced: boolean } & Quantity)[];
  ours: Quantity & { published: number | null };
}

export interface Fleet extends Same {
  machines: { device: string; precision: string; binds: string; count: Quantity; power: Quantity | null; capital: Quantity | null; warnings: string[] }[];
  standing: { name: string; date: string; what: string; peak: number; sustained: number; share: number | null; power: number | null; source: string }[];
}

export interface Summary {
  rows: number;
  supported: number;
  mean_error: number | null;
  median_error: number | null;
  max_error: number | null;
  signed_error: number | null;
  inside_interval: number | null;
}

export interface Validation extends Same {
  table: string;
  rows: number;
  supported: number;
  headline: Summary;
  by_source: Record<string, Summary>;
  by_family: Record<string, Summary>;
  by_device: Record<string, Summary>;
  by_metric: Record<string, Summary>;
  refusals: { why: string; rows: number }[];
  points: {
    id: string[];
    metric: string[];
    family: string[];
    device: string[];
    source: string[];
    what: string[];
    measured: number[];
    predicted: number[];
    low: (number | null)[];
    high: (number | null)[];
    flag: string[];
  };
}

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

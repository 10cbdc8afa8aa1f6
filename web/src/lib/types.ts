// Made by web/typescript.py from the server's OpenAPI; src/rigwise/web/answers/ is what to change.
// Units are in the names: _s seconds, _gib GiB, _usd dollars.

/** Which GPUs to get. */
export interface Advice {
  schema_version: number;
  same: Spelling;
  need: AdviceNeed;
  date: string;
  choices: Choice[];
  pareto: Choice[];
  path: AdvicePath;
  break_even: AdviceBreakEven | null;
  refused: Record<string, string>;
  search: AdviceSearch;
  why_not?: string[] | null;
}

/** Of Advice: break even. */
export interface AdviceBreakEven {
  buy: string;
  rent: string;
  rent_usd_per_hour: number;
  use: number;
  hours: number | null;
  days: number | null;
  rent_usd: number;
  own_usd: number;
}

/** Of Advice: need. */
export interface AdviceNeed {
  model: string;
  persona: string;
  batch: number;
  work: number | null;
  unit: string;
  goal: string;
  years: number;
  hours_per_week: number;
}

/** Of Advice: path. */
export interface AdvicePath {
  steps: AdvicePathStep[];
  says: string;
}

/** Of Advice: path step. */
export interface AdvicePathStep {
  question: string;
  fact: string;
  answer: string;
}

/** Of Advice: search. */
export interface AdviceSearch {
  devices: number;
  machines: number;
  candidates: number;
  seconds: number;
}

/** A card at a kind of work. */
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

/** The brain's operations a second, memory and bandwidth. */
export interface Brain {
  schema_version: number;
  same: Spelling;
  draws: number;
  include: string[];
  left_out: string[];
  flops: Quantity;
  memory: Quantity;
  bandwidth: Quantity;
  terms: Record<string, BrainTerm>;
  tornado: BrainTornado[];
  parameters: Record<string, BrainParameter>;
  cannot_say: string[];
}

/** Of Brain: parameter. */
export interface BrainParameter {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
  says: string;
  distribution: string;
  checked: string;
  note: string;
}

/** Of Brain: term. */
export interface BrainTerm {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
  region: string;
}

/** Of Brain: tornado. */
export interface BrainTornado {
  name: string;
  low: number;
  high: number;
  at_low: number;
  at_high: number;
  swing: number;
}

/** Every card at a kind of work. */
export interface Chart {
  schema_version: number;
  same: Spelling;
  work: string;
  chart: Bar[];
}

/** One way to get GPUs. */
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
  price: ChoicePrice | null;
  reasons: string[];
  warnings: string[];
}

/** Of Choice: price. */
export interface ChoicePrice {
  usd: number;
  date: string;
  old: boolean;
  estimated: boolean;
  source: string;
}

/** Published estimates beside this one. */
export interface Comparison {
  schema_version: number;
  same: Spelling;
  methods: ComparisonMethod[];
  ours: ComparisonOur;
}

/** Of Comparison: method. */
export interface ComparisonMethod {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
  key: string;
  name: string;
  year: number;
  published: number[] | number | null;
  reproduced: boolean | null;
}

/** Of Comparison: our. */
export interface ComparisonOur {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
  published: number | null;
}

/** A convolution of a network: its sizes, and what each algorithm takes. */
export interface ConvLayer {
  schema_version: number;
  same: Spelling;
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
  interval_factors: Record<string, number>;
  basis: string;
}

/** The convolutions of a network. */
export interface ConvLayers {
  schema_version: number;
  same: Spelling;
  model: string;
  layers: ConvLayersLayer[];
}

/** Of ConvLayersAnswer: layer. */
export interface ConvLayersLayer {
  name: string;
  count: number;
  channels: [number, number];
  size: number[];
  kernel: number[];
}

/** What hangs on what in a machine. */
export interface Drawing {
  machines: number;
  sockets: DrawingSocket[];
  ram_bytes: number;
  ram_bytes_per_s: number | null;
  disk_bytes_per_s: number | null;
  modules: boolean;
  gpus: Seat[];
  nics: DrawingNic[];
  ways: DrawingWay[];
  fabric: string[];
}

/** Of Drawing: nic. */
export interface DrawingNic {
  name: string;
  slot?: number | null;
  lanes?: number | null;
  gen?: number | null;
  bytes_per_s?: number | null;
  socket?: number | null;
  switch?: string | null;
  chipset?: boolean | null;
  bits_per_s: number;
}

/** Of Drawing: socket. */
export interface DrawingSocket {
  name: string;
  says: string;
}

/** Of Drawing: way. */
export interface DrawingWay {
  way: string;
  pairs: number;
  bytes_per_s: number;
}

/** One layout of a model on a cluster. */
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

/** A layout in the words of another tool. */
export interface Export {
  schema_version: number;
  same: Spelling;
  name: string;
  text: string;
  notes: string[];
}

/** An image under kernels. */
export interface Features {
  schema_version: number;
  same: Spelling;
  image: string;
  image_size: [number, number, number];
  image_mean: number;
  maps: FeaturesMap[];
  drawing: FeaturesDrawing;
}

/** Of Features: drawing. */
export interface FeaturesDrawing {
  image: string;
  maps: string[];
}

/** Of Features: map. */
export interface FeaturesMap {
  kernel: Kernel;
  shape: number[];
  least: number;
  greatest: number;
  mean: number;
}

/** What is wrong with a machine, or worth knowing. */
export interface Finding {
  severity: 'error' | 'warning' | 'waste' | 'note';
  rule: string;
  says: string;
  fix: string;
  money_usd: number | null;
}

/** How many devices would sustain it. */
export interface Fleet {
  schema_version: number;
  same: Spelling;
  machines: FleetMachine[];
  standing: FleetStanding[];
}

/** Of Fleet: machine. */
export interface FleetMachine {
  device: string;
  precision: string;
  binds: string;
  count: Quantity;
  power: Quantity | null;
  capital: Quantity | null;
  warnings: string[];
}

/** Of Fleet: standing. */
export interface FleetStanding {
  name: string;
  date: string;
  what: string;
  peak: number;
  sustained: number;
  share: number | null;
  power: number | null;
  source: string;
}

/** When machines reach a target. */
export interface Forecast {
  schema_version: number;
  same: Spelling;
  metric: string;
  says: string;
  until: number;
  target: Quantity;
  crossing: ForecastCrossing;
  by_limit: ForecastByLimit[];
  fan: ForecastFan[];
  scenarios: ForecastScenario[];
  cannot_say: string[];
}

/** Of Forecast: by limit. */
export interface ForecastByLimit {
  limits: string[];
  year: Quantity;
  none: number;
}

/** Of Forecast: crossing. */
export interface ForecastCrossing {
  limits: string[];
  year: Quantity;
  none: number;
  chance_by: Record<string, number>;
}

/** Of Forecast: fan. */
export interface ForecastFan {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
  year: number;
}

/** Of Forecast: scenario. */
export interface ForecastScenario {
  name: string;
  year: number | null;
  stated: number | null;
  years_per_doubling: number;
  source: string;
}

/** A job: how far it is, what it is at, what a run told of its steps, and the answer or the problem at its end. */
export interface JobTold {
  id: string;
  verb: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  progress: [number, number] | null;
  stage: string;
  problem: Record<string, unknown> | null;
  request?: Record<string, unknown> | null;
  steps?: RunStep[] | null;
  answer?: RunReport | Measure | Validation | Record<string, unknown> | null;
}

/** A kernel with its values. */
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

/** A whole machine, or several, around GPUs. */
export interface Machine {
  schema_version: number;
  same: Spelling;
  nodes: number;
  parts: Part[];
  findings: Finding[];
  passes: boolean;
  total: MachineTotal;
  lanes: number | null;
  pcie_gen: number | null;
  step_s: number | null;
  interval: [number, number] | null;
  proof: MachineProof | null;
  drawing: Drawing;
}

/** Of Machine: proof. */
export interface MachineProof {
  says: string;
}

/** Of Machine: total. */
export interface MachineTotal {
  price_usd: number | null;
  watts: number;
  heat_btu_per_h: number;
  noise_db: number | null;
  usd_per_hour: number;
  electricity_usd_3_years: number;
}

/** This machine, measured. */
export interface Measure {
  schema_version: number;
  same: Spelling;
  settings: MeasuredSetting[];
}

/** A collective between ranks: seconds that it takes at least, and bytes a second of a long one. */
export interface MeasuredLink {
  collective: string;
  alpha: number;
  bandwidth: number;
  error: number;
  worst: number;
}

/** A pass of a small network, forward and back: seconds measured, and predicted by what was measured without it. */
export interface MeasuredPass {
  what: string;
  measured: number;
  predicted: number;
}

/** One thing timed. value: the median, in the metric's unit. rate: FLOP/s, of what multiplies. */
export interface MeasuredRow {
  metric: string;
  kind: string;
  which: string;
  sizes: Record<string, number>;
  value: number;
  spread: number | null;
  times: number;
  rate: number | null;
}

/** What was found at a number of ranks and threads. */
export interface MeasuredSetting {
  session: number;
  ranks: number;
  threads: number;
  spread: number;
  others: number;
  doubts: string[];
  links: MeasuredLink[];
  rows: MeasuredRow[];
  passes: MeasuredPass[];
}

/** The names that can be said. */
export interface Names {
  version: string;
  models: string[];
  devices: NamesDevice[];
  personas: Record<string, string>;
  works: Record<string, string>;
  precisions: string[];
  optimizers: string[];
  brain_inputs: string[];
  kernels: Record<string, string>;
}

/** Of Names: device. */
export interface NamesDevice {
  name: string;
  says: string;
  vendor: string;
  year: number;
  memory_bytes: number;
  watts: number | null;
}

/** One neuron at work: the FLOP of one evaluation by block, and what happens in time, a value a step. */
export interface Neuron {
  schema_version: number;
  same: Spelling;
  cell: string;
  seconds: number;
  rate_hz: number;
  steps_per_s: number;
  flop_per_evaluation: number;
  blocks: Record<string, number>;
  walk: Record<string, string>[];
  spikes_out: number;
  series: Record<string, number[]>;
}

/** An estimate by itself; `error` and what follows where it does not fit. */
export interface OneLayout {
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
  schema_version: number;
  same: Spelling;
  model: string;
  cluster: string;
  resolved: string;
  batch: number;
  seq: number | null;
  optimizer: string;
  stack: string;
  error?: string | null;
  says?: string | null;
  rule?: string | null;
  nearest?: string | null;
}

/** One line of a list of parts. */
export interface Part {
  kind: string;
  name: string;
  count: number;
  price_usd: number | null;
  condition: string;
  watts: number | null;
  reason: string;
  alternatives: PartAlternative[];
  source: string;
}

/** Of Part: alternative. */
export interface PartAlternative {
  name: string;
  more_usd: number;
}

/** A small image under one kernel: all the numbers. */
export interface Pixel {
  schema_version: number;
  same: Spelling;
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

/** The ranked layouts. */
export interface Plan {
  schema_version: number;
  same: Spelling;
  model: string;
  cluster: string;
  resolved: string;
  batch: number;
  seq: number | null;
  optimizer: string;
  stack: string;
  objective: string;
  layouts: Estimate[];
  pareto: Estimate[];
  why: string[];
  walked_step_s: number;
  search: PlanSearch;
}

/** Of PlanAnswer: search. */
export interface PlanSearch {
  considered: number;
  legal: number;
  feasible: number;
  seconds: number;
}

/** One of the three products of a layer, by rank. */
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

/** A value with its spread. */
export interface Quantity {
  value: number | null;
  p10: number | null;
  p50: number | null;
  p90: number | null;
  unit: string;
  source: string;
}

/** A run, predicted beside measured. */
export interface RunReport {
  schema_version: number;
  same: Spelling;
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
  comparison: RunReportComparison[];
}

/** Of RunReport: comparison. */
export interface RunReportComparison {
  part: string;
  unit: 's' | 'B';
  predicted: number | null;
  interval: [number, number] | null;
  measured: number;
}

/** What a run tells of a step. */
export interface RunStep {
  step: number;
  loss: number;
  step_s: number;
  samples_per_s: number;
  tokens_per_s: number | null;
  mfu: number | null;
  memory: number;
}

/** The packaged tasks, and what was run from this folder. */
export interface Runs {
  schema_version: number;
  same: Spelling;
  tasks: RunsTask[];
  runs: RunsRun[];
}

/** Of RunsAnswer: run. */
export interface RunsRun {
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
}

/** Of RunsAnswer: task. */
export interface RunsTask {
  name: string;
  says: string;
}

/** Every number of devices: for each way of splitting the best layout, None where nothing fits. */
export interface Scale {
  schema_version: number;
  same: Spelling;
  model: string;
  cluster: string;
  resolved: string;
  batch: number;
  seq: number | null;
  optimizer: string;
  stack: string;
  devices: number[];
  against: string;
  curves: Record<string, (ScalePoint | null)[]>;
  turns: Record<string, string>;
  warnings: string[];
}

/** Of ScaleAnswer: the best layout of a way on a number of devices. */
export interface ScalePoint {
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
  devices: number;
  speedup: number;
}

/** Where a card sits in a machine; what is not known is not there. bytes_per_s: what its lanes carry one way. */
export interface Seat {
  name: string;
  slot?: number | null;
  lanes?: number | null;
  gen?: number | null;
  bytes_per_s?: number | null;
  socket?: number | null;
  switch?: string | null;
  chipset?: boolean | null;
}

/** An image's frequencies. */
export interface Spectrum {
  schema_version: number;
  same: Spelling;
  size: [number, number];
  radius: number;
  bins: number;
  bins_kept: number;
  share_of_bins: number;
  share_of_energy_low: number;
  share_of_energy_high: number;
  share_of_energy_low_without_mean: number;
  drawing: SpectrumDrawing;
}

/** Of Spectrum: pictures, as data addresses. */
export interface SpectrumDrawing {
  image: string;
  spectrum: string;
  low: string;
  high: string;
  kept: string;
}

/** The command and the Python that give the same answer; "" where there is none. */
export interface Spelling {
  command: string;
  python: string;
}

/** A dense layer under every split. */
export interface Split {
  schema_version: number;
  same: Spelling;
  batch: number;
  inputs: number;
  outputs: number;
  ranks: number;
  element_bytes: number;
  splits: SplitSplit[];
  refused: Record<string, string>;
  break_even_batch: Record<string, number>;
  least: string;
  rate: number | null;
  warnings: string[];
}

/** Of SplitAnswer: split. */
export interface SplitSplit {
  kind: string;
  products: Product[];
  elements: number;
  bytes: number;
  ring_bytes: number;
  seconds: SplitSplitSecond | null;
  memory_bytes: Record<string, number[]>;
}

/** Of SplitAnswer: split second. */
export interface SplitSplitSecond {
  decimal: number;
  binary: number;
}

/** The passes of one stage of a pipeline, in seconds from the step's start. */
export interface Stage {
  stage: number;
  kind: string;
  micro: number[];
  chunk: number[];
  start: number[];
  end: number[];
}

/** A layout stage by stage: its pipeline in time and its memory. */
export interface Stages {
  schema_version: number;
  same: Spelling;
  model: string;
  cluster: string;
  resolved: string;
  batch: number;
  seq: number | null;
  optimizer: string;
  stack: string;
  spelling: string;
  stages: Stage[];
  ranks: StagesRank;
  micros: number;
  walked: number;
  makespan_s: number;
  pipeline_s: number;
  bubble_share: number;
  after_s: Record<string, number>;
  walked_step_s: number;
  memory_by_stage: Record<string, number>[];
  memory_limit_gib: number;
}

/** Of Stages: rank. */
export interface StagesRank {
  pp: number;
  dp: number;
  cp: number;
  tp: number;
}

/** Errors of a set of rows. */
export interface Summary {
  rows: number;
  supported: number;
  mean_error: number | null;
  median_error: number | null;
  max_error: number | null;
  signed_error: number | null;
  inside_interval: number | null;
}

/** Every measured row, predicted; points by column. */
export interface Validation {
  schema_version: number;
  same: Spelling;
  table: string;
  rows: number;
  supported: number;
  headline: Summary;
  by_source: Record<string, Summary>;
  by_family: Record<string, Summary>;
  by_device: Record<string, Summary>;
  by_metric: Record<string, Summary>;
  refusals: ValidationRefusal[];
  points: ValidationPoint;
}

/** Of ValidationAnswer: point. */
export interface ValidationPoint {
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
}

/** Of ValidationAnswer: refusal. */
export interface ValidationRefusal {
  why: string;
  rows: number;
}

/** Which algorithm is soonest, over kernel and image. */
export interface WinMap {
  schema_version: number;
  same: Spelling;
  channels: [number, number];
  device: string;
  precision: string;
  batch: number;
  interval_factor: number;
  cells: WinMapCell[];
}

/** Of WinMap: cell. */
export interface WinMapCell {
  kernel: number;
  size: number;
  winner: string;
  seconds: Record<string, number | null>;
}

// A long answer: started as a job, heard of by events, cancelled at will.
import { ask, call, report, type Problem } from './api';

interface Told {
  id: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  progress: [number, number] | null;
  /** What it is at, in words. */
  stage?: string;
  problem: Problem | null;
  steps?: unknown[];
}

export class LongAnswer<T, Step = never> {
  answer = $state.raw<T | undefined>();
  problem = $state.raw<Problem | undefined>();
  told = $state.raw<Told | undefined>();
  /** What a run told of its steps so far. */
  steps = $state.raw<Step[]>([]);
  #news: EventSource | undefined;

  constructor(readonly verb: string) {}

  get running(): boolean {
    return this.told?.state === 'running';
  }

  async start(request: object = {}): Promise<void> {
    this.#forget();
    try {
      if (report) {
        this.answer = await ask<T>(this.verb, request);
        return;
      }
      this.#hear(await call<Told>('POST', '/api/jobs', { verb: this.verb, request }));
    } catch (problem) {
      this.problem = problem as Problem;
    }
  }

  /** Listen to a job that runs already, or take the answer of one that is done. */
  async follow(id: string): Promise<void> {
    this.#forget();
    try {
      this.#hear(await call<Told>('GET', `/api/jobs/${id}`));
    } catch (problem) {
      this.problem = problem as Problem;
    }
  }

  #forget(): void {
    this.close();
    this.answer = this.problem = this.told = undefined;
    this.steps = [];
  }

  async cancel(): Promise<void> {
    if (this.told) await call('DELETE', `/api/jobs/${this.told.id}`).catch(() => undefined);
  }

  /** Stop listening; the job goes on. */
  close(): void {
    this.#news?.close();
  }

  #hear(told: Told): void {
    this.told = told;
    this.#news = new EventSource(`/api/jobs/${told.id}/events`);
    this.#news.addEventListener('open', () => (this.steps = [])); // who listens anew is told all of it again
    this.#news.addEventListener('progress', (event) => this.#took(JSON.parse(event.data) as Told));
    this.#news.addEventListener('end', (event) => void this.#end(JSON.parse(event.data) as Told));
  }

  #took(told: Told): void {
    this.told = told;
    if (told.steps?.length) this.steps = [...this.steps, ...(told.steps as Step[])];
  }

  async #end(told: Told): Promise<void> {
    this.close();
    this.#took({ ...told, state: 'running' });
    if (told.state === 'done') {
      const whole = await call<Told & { answer: T }>('GET', `/api/jobs/${told.id}`);
      this.answer = whole.answer;
    }
    if (told.problem) this.problem = told.problem;
    this.told = told;
  }
}

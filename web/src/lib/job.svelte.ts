// A long answer: started as a job, heard of by events, cancelled at will.
import { ask, call, report, type Problem } from './api';

interface Told {
  id: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  progress: [number, number] | null;
  problem: Problem | null;
}

export class LongAnswer<T> {
  answer = $state.raw<T | undefined>();
  problem = $state.raw<Problem | undefined>();
  told = $state.raw<Told | undefined>();
  #news: EventSource | undefined;

  constructor(readonly verb: string) {}

  get running(): boolean {
    return this.told?.state === 'running';
  }

  async start(request: object = {}): Promise<void> {
    this.problem = undefined;
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
    this.#news.addEventListener('progress', (event) => (this.told = JSON.parse(event.data) as Told));
    this.#news.addEventListener('end', (event) => void this.#end(JSON.parse(event.data) as Told));
  }

  async #end(told: Told): Promise<void> {
    this.close();
    if (told.state === 'done') {
      const whole = await call<Told & { answer: T }>('GET', `/api/jobs/${told.id}`);
      this.answer = whole.answer;
    }
    if (told.problem) this.problem = told.problem;
    this.told = told;
  }
}

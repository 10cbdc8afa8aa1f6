// An answer that follows its question: one request at a time, and of those that wait only the newest is sent.
import { ask, decided, known, report, type Problem } from './api';

export class Live<T> {
  answer = $state.raw<T | undefined>();
  problem = $state.raw<Problem | undefined>();
  busy = $state(false);
  /** The question that the answer answers. */
  about = $state.raw<object | undefined>();
  #next: object | undefined;
  #asking = false;

  constructor(readonly verb: string) {}

  /** Ask; what is known already is there at once. */
  ask(body: object): void {
    const there = known<T>(this.verb, body);
    if (there) {
      this.#next = undefined;
      this.about = body;
      this.answer = there;
      this.problem = undefined;
      return;
    }
    this.#next = body;
    if (!this.#asking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#asking = this.busy = true;
    while (this.#next) {
      const body = this.#next;
      this.#next = undefined;
      await this.#one(body);
    }
    this.#asking = this.busy = false;
  }

  async #one(body: object): Promise<void> {
    try {
      const found = await ask<T>(this.verb, body);
      if (this.#next && this.about) return;
      this.about = body;
      this.answer = found;
      this.problem = undefined;
    } catch (problem) {
      this.problem = problem as Problem;
    }
  }
}

const LANES = 2; // as many as the server has cores at least; more would keep a real question waiting
let guesses: [string, object][] = [];
let lanes = 0;

/** Ask for what will probably be asked next, so that it is there when it is. Newer guesses take the place of older. */
export function foresee(verb: string, bodies: object[]): void {
  if (report) return;
  guesses = bodies.filter((body) => !decided(verb, body)).map((body) => [verb, body]);
  while (lanes < Math.min(LANES, lanes + guesses.length)) void lane();
}

async function lane(): Promise<void> {
  lanes += 1;
  for (let next = guesses.shift(); next; next = guesses.shift()) await ask(...next).catch(() => undefined);
  lanes -= 1;
}

// An answer that follows its question: one request at a time, and of those that wait only the newest is sent.
import { ask, known, type Problem } from './api';

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

const foreseen = new Map<string, object>();

/** Ask for what will probably be asked next, so that it is there when it is. A newer guess takes the place of an older. */
export function foresee(verb: string, bodies: object[]): void {
  foreseen.set(verb, bodies);
  void (async () => {
    for (const body of bodies) {
      if (foreseen.get(verb) !== bodies) return;
      await ask(verb, body).catch(() => undefined);
    }
  })();
}

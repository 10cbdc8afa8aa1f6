// The state of the page is its address: #/plan?model=gpt2&cluster=8xh100. A link shares it, and Back undoes.

export const ROOMS = {
  plan: 'Plan',
  gpu: 'Which GPU',
  machine: 'Machine',
  run: 'Run',
  convolution: 'Convolution',
  parallel: 'Parallelism explained',
  brain: 'Brain',
  validation: 'Validation',
} as const;
export type Room = keyof typeof ROOMS;

export function read(hash: string): { room: Room; said: Record<string, string> } {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const room = path in ROOMS ? (path as Room) : 'plan';
  return { room, said: Object.fromEntries(new URLSearchParams(query)) };
}

export function write(room: Room, said: Record<string, string>): string {
  const query = new URLSearchParams(said).toString().replaceAll('%2C', ',').replaceAll('%3D', '=');
  return `#/${room}${query ? `?${query}` : ''}`;
}

class Route {
  room = $state<Room>('plan');
  said = $state.raw<Record<string, string>>({});
  #later: ReturnType<typeof setTimeout> | undefined;

  /** Follow the address. */
  listen(): void {
    const follow = () => {
      const { room, said } = read(location.hash);
      this.room = room;
      this.said = said;
    };
    addEventListener('hashchange', follow);
    follow();
  }

  get(name: string, usual = ''): string {
    return this.said[name] ?? usual;
  }

  number(name: string): number | undefined {
    const value = Number(this.said[name]);
    return this.said[name] && Number.isFinite(value) ? value : undefined;
  }

  list(name: string): string[] {
    return this.get(name).split('|').filter(Boolean);
  }

  /** Say something else; "" takes it back. A step of a slider replaces the address, a choice is a step of Back. */
  set(change: Record<string, string | number | undefined>, step: 'push' | 'replace' = 'replace'): void {
    const said = { ...this.said };
    for (const [name, value] of Object.entries(change)) {
      if (value === undefined || value === '') delete said[name];
      else said[name] = String(value);
    }
    this.said = said;
    clearTimeout(this.#later);
    const put = () => history[`${step}State`](null, '', write(this.room, said));
    if (step === 'push') put();
    else this.#later = setTimeout(put, 120); // browsers refuse hundreds of changes of the address in a few seconds
  }

  flip(name: string, word: string): void {
    const there = this.list(name);
    const rest = there.filter((other) => other !== word);
    this.set({ [name]: (rest.length < there.length ? rest : [...there, word]).join('|') });
  }
}

export const route = new Route();

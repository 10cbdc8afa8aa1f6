// Dark or light: as the system says, unless somebody chose.

type Choice = 'system' | 'light' | 'dark';
const KEY = 'rigwise-theme';

class Theme {
  choice = $state<Choice>('system');
  #system = $state(false);

  constructor() {
    const media = matchMedia('(prefers-color-scheme: dark)');
    this.#system = media.matches;
    media.addEventListener('change', () => (this.#system = media.matches));
    try {
      const kept = localStorage.getItem(KEY);
      if (kept === 'light' || kept === 'dark') this.choice = kept;
    } catch {
      // nothing is kept here; the system decides
    }
    this.#show();
  }

  get dark(): boolean {
    return this.choice === 'system' ? this.#system : this.choice === 'dark';
  }

  flip(): void {
    this.choice = this.dark ? 'light' : 'dark';
    try {
      localStorage.setItem(KEY, this.choice);
    } catch {
      // it holds for this visit
    }
    this.#show();
  }

  #show(): void {
    if (this.choice === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.choice;
  }
}

export const theme = new Theme();

/** Colours of series, in an order that also holds for eyes that tell red and green badly; 3:1 on both grounds. */
const LIGHT = ['#2f6fd0', '#c4570f', '#178a6b', '#8a4fc7', '#b3306b', '#6b7a12', '#0e7fa3', '#8d6238', '#5d6778', '#a8322d', '#3d4fa8', '#5b8a3c', '#94487f'];
const DARK = ['#76a9f7', '#f09a55', '#4cc6a0', '#bd94ee', '#ef7fae', '#b6c653', '#55c1e3', '#d0a578', '#a7b0bf', '#f28d86', '#97a6f2', '#9fce7e', '#dd9ccb'];

export function hue(i: number): string {
  const hues = theme.dark ? DARK : LIGHT;
  return hues[i % hues.length]!;
}

export function ink(): { text: string; soft: string; line: string; ground: string; bad: string } {
  return theme.dark
    ? { text: '#e6e9ef', soft: '#aab4c4', line: '#3a4453', ground: '#1b2029', bad: '#ff8b80' }
    : { text: '#1c2432', soft: '#566074', line: '#d5dae3', ground: '#ffffff', bad: '#b3261e' };
}

// The names that can be said, asked for once.
import { call, report } from './api';
import type { Names } from './types';

class Known {
  names = $state.raw<Names | undefined>();

  async load(): Promise<void> {
    if (this.names) return;
    if (report) this.names = report.answers.names as Names | undefined;
    else this.names = await call<Names>('GET', '/api/names').catch(() => undefined);
  }
}

export const catalogue = new Known();

// The HTTP API: the verbs of Python, asked with the token that `rigwise serve` printed.

export interface Problem {
  title: string;
  status: number;
  detail: string;
  rule: string;
  nearest: string;
  exit_code: number;
}

const TOKEN = 'rigwise-token';
const KEPT = 160;
const INFEASIBLE = 409;
const kept = new Map<string, unknown>();
const refused = new Map<string, Problem>();
const underway = new Map<string, Promise<unknown>>();

interface Report {
  made: string;
  rooms: Record<string, string>;
  answers: Record<string, unknown>;
}

/** The payload of a report that was written to a file, where the page is one: its answers, by verb and request. */
export let report: Report | undefined;

/** Read it, before anything is shown. */
export async function openReport(): Promise<void> {
  const text = document.getElementById('payload')?.textContent;
  if (!text) return;
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  report = (await new Response(stream).json()) as Report;
}

/** Take the token out of the address, where `rigwise serve` puts it, and keep it for this browser. */
export function keepToken(): void {
  const told = /^#token=([\w-]+)$/.exec(location.hash);
  if (told?.[1]) {
    setToken(told[1]);
    history.replaceState(null, '', '#/');
  }
}

export function setToken(token: string): void {
  try {
    localStorage.setItem(TOKEN, token);
  } catch {
    // a browser that keeps nothing still works until the tab is closed
  }
  session = token;
}

let session = '';

export function token(): string {
  try {
    return session || (localStorage.getItem(TOKEN) ?? '');
  } catch {
    return session;
  }
}

/** One text for one question, whatever the order in which its parts were said. */
export function keyOf(verb: string, body: object): string {
  const parts = Object.entries(body).filter(([, value]) => value !== undefined);
  return `${verb} ${JSON.stringify(Object.fromEntries(parts.sort(([a], [b]) => (a < b ? -1 : 1))))}`;
}

export function known<T>(verb: string, body: object): T | undefined {
  return kept.get(keyOf(verb, body)) as T | undefined;
}

/** Whether a question needs no server any more: it is answered, or it cannot be. */
export function decided(verb: string, body: object): boolean {
  const key = keyOf(verb, body);
  return kept.has(key) || refused.has(key);
}

/** The answer of a verb. Throws a Problem. What is infeasible stays so, and is not asked again. */
export async function ask<T>(verb: string, body: object): Promise<T> {
  const key = keyOf(verb, body);
  if (kept.has(key)) return kept.get(key) as T;
  if (refused.has(key)) throw refused.get(key);
  if (report) return fromReport<T>(key);
  const already = underway.get(key) ?? call<T>('POST', `/api/${verb}`, body).finally(() => underway.delete(key));
  underway.set(key, already);
  try {
    return keep(kept, key, (await already) as T);
  } catch (caught) {
    if ((caught as Problem).status === INFEASIBLE) keep(refused, key, caught as Problem);
    throw caught;
  }
}

function keep<T>(among: Map<string, unknown>, key: string, value: T): T {
  among.set(key, value);
  if (among.size > KEPT) among.delete(among.keys().next().value!);
  return value;
}

function fromReport<T>(key: string): T {
  const found = report!.answers[key];
  if (found === undefined) {
    throw problem('This report holds no answer to that.', 'Moving on needs the server: start it with `rigwise serve`.');
  }
  return found as T;
}

export function problem(detail: string, nearest = '', status = 0): Problem {
  return { title: 'not answered', status, detail, rule: '', nearest, exit_code: 5 };
}

export async function call<T>(method: string, path: string, body?: object, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, headers: { 'x-rigwise-token': token() } };
  if (signal) init.signal = signal;
  if (body) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, 'content-type': 'application/json' };
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException) throw error;
    throw problem('The server does not answer.', 'Is `rigwise serve` still running?');
  }
  if (!answer.ok) throw (await answer.json().catch(() => problem(answer.statusText, '', answer.status))) as Problem;
  return (await answer.json()) as T;
}

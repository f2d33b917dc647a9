import { Background } from './background';

/** An answer that says no, or that did not come (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly executed = 'no',
  ) {
    super(message);
  }
}

const kTokenKey = 'cluster.token';

/** The node that served this page. The token travels in a header alone, and is kept for this tab alone. */
export class Api {
  /** Milliseconds that the node's clock is ahead of this one's, to a second. */
  clockAhead = 0;
  readonly background = new Background();

  get token(): string {
    return sessionStorage.getItem(kTokenKey) ?? '';
  }
  set token(token: string) {
    if (token) sessionStorage.setItem(kTokenKey, token);
    else sessionStorage.removeItem(kTokenKey);
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.token) headers.set('Authorization', `Bearer ${this.token}`);
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers, cache: init.cache ?? 'no-store', credentials: 'omit' });
    } catch (error) {
      if (init.signal?.aborted && (error as Error).name === 'AbortError') throw error; // else it took too long
      throw new ApiError(0, 'unreachable', 'The node does not answer.', 'unknown');
    }
    const date = Date.parse(response.headers.get('Date') ?? '');
    if (!Number.isNaN(date)) {
      const ahead = date - Date.now();
      if (Math.abs(ahead - this.clockAhead) > 1500) this.clockAhead = ahead;
    }
    return response;
  }

  /** The `data` of an answer. */
  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return data<T>(await this.send(path, { signal }));
  }
  async text(path: string): Promise<string> {
    const response = await this.send(path);
    if (!response.ok) await data(response);
    return response.text();
  }
  async post<T>(path: string, body?: string, signal?: AbortSignal): Promise<T> {
    const headers: HeadersInit = body === undefined ? {} : { 'Content-Type': 'application/json' };
    return data<T>(await this.send(path, { method: 'POST', headers, body, signal }));
  }
}

/** The `data` of an answer, or its error. */
export async function data<T>(response: Response): Promise<T> {
  let answer: { ok?: boolean; data?: T; error?: { message: string; code: string; executed: string } };
  try {
    answer = await response.json();
  } catch {
    throw new ApiError(response.status, 'bad_answer', `The answer is no JSON (${response.status}).`, 'unknown');
  }
  if (answer.ok) return answer.data as T;
  const error = answer.error;
  throw new ApiError(response.status, error?.code ?? 'unknown', error?.message ?? 'No reason given.', error?.executed);
}

/** Path segments, each encoded. */
export function path(...segments: string[]): string {
  const stepped = segments.find((segment) => segment === '.' || segment === '..');
  if (stepped) throw new ApiError(0, 'invalid_argument', `A browser cannot ask for '${stepped}': it takes it for a step in a path.`);
  return '/' + segments.map(encodeURIComponent).join('/');
}

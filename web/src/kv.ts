import { type Api, ApiError, path } from './api';
import { poll, run } from './command';
import { readEvents } from './sse';

export interface KvStatus {
  settled: boolean;
  to_compare: number;
  handing_over: boolean;
  handed_over: number;
  left: number;
  leaving: boolean;
  hints: number;
  fault?: string | null;
  durable: boolean;
}

/** A key that is no text cannot be typed, and is shown as the bytes that it is. */
export type KvKey = string | { $bytes: string };

export interface KvPage {
  keys: KvKey[];
  next: KvKey | null;
}

/** What is held under a key: values, more than one if they were written without knowledge of each other. */
export interface KvFound {
  values: string[];
  context: string;
  binary: boolean; // some of it is no text that could be typed
  until?: number; // when the last of them goes, by this browser's clock; undefined: never
}

/** What a watch tells. */
export interface KvChange {
  seq: number;
  event: 'put' | 'del' | 'watching' | 'missed' | 'error';
  key?: KvKey;
  members?: string[];
  silent?: string[];
}

export const kKeysShown = 200;
const kWatchAgain = 2000; // milliseconds before a watch that ended is begun again
const kShownMax = 64 * 1024; // of a value that is drawn

const kStatus = { name: 'kv', args: ['status'] };
export const readOwnKvStatus = (api: Api) => run<KvStatus>(api, '', kStatus);
export const pollKvStatus = (api: Api, node: string) => poll<KvStatus>(api, node, kStatus);

export function readKeys(api: Api, bucket: string, prefix: string, from: string, signal: AbortSignal): Promise<KvPage> {
  const query = new URLSearchParams({ prefix, from, limit: String(kKeysShown) });
  return api.get<KvPage>(`${path('v1', 'kv', bucket)}?${query}`, signal);
}

type Take = (changes: KvChange[]) => void;

/** Tells the changes of a bucket as they happen, until `signal` ends it; `told`: whether they are told from now on. */
export async function watchKeys(api: Api, bucket: string, prefix: string, take: Take, told: (now: boolean) => void, signal: AbortSignal) {
  const headers: Record<string, string> = { Accept: 'text/event-stream' };
  while (!signal.aborted) {
    try {
      const response = await api.send(`${path('v1', 'watch', bucket)}?${new URLSearchParams({ prefix })}`, { headers, signal });
      if (response.ok) {
        told(true);
        await readEvents(response, (texts) => {
          const changes = texts.map((text) => JSON.parse(text) as KvChange);
          const last = changes[changes.length - 1];
          if (last?.seq) headers['Last-Event-ID'] = String(last.seq);
          if (changes.some(({ event }) => event === 'error')) throw new Error('the stream has ended');
          if (changes.length > 0) take(changes);
        });
      }
    } catch {
      // it is begun again
    }
    if (signal.aborted) return;
    told(false);
    await new Promise((done) => setTimeout(done, kWatchAgain));
  }
}

/** Undefined: there is no such key. */
export async function readKey(api: Api, bucket: string, key: string): Promise<KvFound | undefined> {
  const response = await api.send(path('v1', 'kv', bucket, key));
  const context = contextOf(response);
  const left = response.headers.get('X-Cluster-TTL');
  const until = left === null ? undefined : Date.now() + Number(left);
  if (response.status === 300) {
    const { data } = (await response.json()) as { data: { values: KvKey[] } };
    const values = data.values.map((value) => (typeof value === 'string' ? value : `(bytes) ${value.$bytes}`));
    return { values, context, until, binary: data.values.some((value) => typeof value !== 'string') };
  }
  if (response.ok) return { ...text(await response.arrayBuffer()), context, until };
  if (response.status === 404) return undefined;
  return refuse(response);
}

function text(bytes: ArrayBuffer): { values: string[]; binary: boolean } {
  if (bytes.byteLength > kShownMax) return { values: [`${bytes.byteLength} bytes, too many to show`], binary: true };
  try {
    return { values: [new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)], binary: false };
  } catch {
    return { values: [`${bytes.byteLength} bytes that are no text`], binary: true };
  }
}

const contextOf = (response: Response) => response.headers.get('X-Cluster-Context') ?? '';

/** Replaces what was seen; what others wrote meanwhile stays beside it. A new key must be new. `ttl`: 0 for ever.
 *  Returns the context to go on with. */
export async function writeKey(api: Api, bucket: string, key: string, value: string, ttl: number, context?: string): Promise<string> {
  const headers: HeadersInit = context === undefined ? {} : { 'X-Cluster-Context': context };
  const method = context === undefined ? 'POST' : 'PUT';
  const query = ttl === 0 ? '' : `?ttl_ms=${ttl}`;
  const response = await api.send(path('v1', 'kv', bucket, key) + query, { method, headers, body: value });
  return response.ok ? contextOf(response) : refuse(response);
}

export async function deleteKey(api: Api, bucket: string, key: string, context: string): Promise<void> {
  const headers = { 'X-Cluster-Context': context };
  const response = await api.send(path('v1', 'kv', bucket, key), { method: 'DELETE', headers });
  if (!response.ok) await refuse(response);
}

async function refuse(response: Response): Promise<never> {
  const { error } = (await response.json()) as { error: { message: string; code: string; executed: string } };
  throw new ApiError(response.status, error.code, error.message, error.executed);
}

import { type Api, ApiError, data, path } from './api';

export interface StoredFile {
  name: string;
  size: number;
  stored: string;
  type: string;
  hash: string;
}

export interface FilePage {
  files: StoredFile[];
  next: string | null;
  silent: string[]; // members that did not answer: what only they hold is missing
}

/** How far a transfer is: bytes of bytes. */
export type Progress = (done: number, of: number) => void;

export const kFilesShown = 50;
const kPartBytes = 16 << 20; // of a download, that are given to the browser to keep where it likes

export function readFiles(api: Api, prefix: string, after: string): Promise<FilePage> {
  return api.get<FilePage>(`/v1/files?${new URLSearchParams({ prefix, after, limit: String(kFilesShown) })}`);
}

/** What the node knows of a file now. */
export async function statFile(api: Api, name: string): Promise<StoredFile> {
  const response = await api.send(path('v1', 'files', name), { method: 'HEAD' });
  if (response.status === 404) throw new ApiError(404, 'not_found', 'There is no such file any more.');
  if (!response.ok) throw new ApiError(response.status, 'unknown', `The node does not tell of this file (${response.status}).`);
  const header = (of: string) => response.headers.get(of) ?? '';
  return {
    name,
    size: Number(header('Content-Length')),
    stored: header('Last-Modified'),
    type: header('Content-Type'),
    hash: header('ETag').replaceAll('"', ''),
  };
}

export interface Upload {
  name: string;
  file: File;
  replaces: boolean; // a file that has this name
}

/** Stores a file; `fetch` does not tell how far it is, so this asks in the old way. */
export function uploadFile(api: Api, target: Upload, progress: Progress, signal: AbortSignal): Promise<StoredFile> {
  const { name, file } = target;
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path('v1', 'files', name));
    if (api.token) request.setRequestHeader('Authorization', `Bearer ${api.token}`);
    if (file.type) request.setRequestHeader('Content-Type', file.type);
    if (!target.replaces) request.setRequestHeader('If-None-Match', '*');
    // Once all of it is there the node may have stored it, whatever becomes of the answer.
    let sent = false;
    request.upload.onload = () => {
      sent = true;
    };
    const outcome = () => (sent ? 'it may be stored under this name.' : 'nothing was stored under this name.');
    request.upload.onprogress = ({ loaded }) => progress(loaded, file.size);
    request.onload = () => data<StoredFile>(new Response(request.responseText, { status: request.status })).then(done, fail);
    request.onerror = () => fail(new ApiError(0, 'unreachable', `The connection broke: ${outcome()}`));
    request.onabort = () => fail(new ApiError(0, 'stopped', `Stopped: ${outcome()}`));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

/** The content of a file. A token travels in a header alone, so a plain link cannot fetch it. */
export async function downloadFile(api: Api, file: StoredFile, progress: Progress, signal: AbortSignal): Promise<Blob> {
  const response = await api.send(path('v1', 'files', file.name), { signal });
  if (!response.ok) await data(response);
  const size = Number(response.headers.get('Content-Length') ?? file.size);
  const parts: BlobPart[] = [];
  let fresh: BlobPart[] = [];
  let freshBytes = 0;
  let taken = 0;
  const reader = response.body!.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (value) {
      fresh.push(value);
      freshBytes += value.byteLength;
      taken += value.byteLength;
      progress(taken, size);
    }
    if (freshBytes >= kPartBytes || done) {
      parts.push(new Blob(fresh));
      fresh = [];
      freshBytes = 0;
    }
    if (done) break;
  }
  if (taken !== size) throw new ApiError(0, 'cut_off', `The answer ended after ${taken} of ${size} bytes.`);
  return new Blob(parts, { type: 'application/octet-stream' });
}

/** Gives a blob to the person as a file. */
export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Removes the file that was seen, not one that took its place meanwhile. */
export async function removeFile(api: Api, seen: StoredFile): Promise<void> {
  const headers = { 'If-Match': `"${seen.hash}"` };
  await data(await api.send(path('v1', 'files', seen.name), { method: 'DELETE', headers }));
}

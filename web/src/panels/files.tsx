import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api';
import { AskRemoval } from '../ask_removal';
import {
  type FilePage,
  type Progress,
  type StoredFile,
  downloadFile,
  readFiles,
  removeFile,
  saveBlob,
  statFile,
  uploadFile,
} from '../files';
import { bytes, plainName } from '../format';
import { useRested } from '../later';
import { useStore } from '../store';

const kPeriod = 3000;

/** One page of the files, read again and again while the panel is open. */
function useFiles(prefix: string, after: string, turn: number): { page?: FilePage; problem: string } {
  const { api } = useStore();
  const [seen, see] = useState<{ page?: FilePage; problem: string }>({ problem: '' });
  useEffect(() => {
    let ended = false;
    let timer = 0;
    const ask = async () => {
      try {
        const page = await readFiles(api, prefix, after);
        if (!ended) see({ page, problem: '' });
      } catch (error) {
        if (!ended) see({ problem: (error as Error).message });
      }
      if (!ended) timer = window.setTimeout(() => void ask(), kPeriod);
    };
    void ask();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [prefix, after, turn]);
  return seen;
}

/** The files of the cluster: their list in pages, one of them to look at, to fetch and to remove, and a form for a new one. */
export function FilesPanel() {
  const [typed, type] = useState('');
  const prefix = useRested(typed);
  const [turned, setTurned] = useState({ prefix, pages: [''] });
  const pages = turned.prefix === prefix ? turned.pages : ['']; // the name after which each page begins, up to this one
  const turnTo = (to: string[]) => setTurned({ prefix, pages: to });
  const [turn, setTurn] = useState(0);
  const [chosen, choose] = useState<string>();
  const { page, problem } = useFiles(prefix, pages[pages.length - 1]!, turn);
  const again = () => setTurn((n) => n + 1);
  const next = page?.next;
  return (
    <>
      <label class="filter">
        Names that begin with{' '}
        <input
          id="files-prefix"
          type="search"
          value={typed}
          onInput={(event) => type(event.currentTarget.value)}
        />
      </label>
      {problem && (
        <p class="problem" id="files-problem" role="alert">
          {problem}
        </p>
      )}
      {page && page.silent.length > 0 && (
        <p class="problem" role="status">
          No answer of {page.silent.slice(0, 5).join(', ')}
          {page.silent.length > 5 ? ` and ${page.silent.length - 5} more` : ''}: files may be missing here.
        </p>
      )}
      {page && page.files.length > 0 && <FileTable files={page.files} chosen={chosen} choose={choose} />}
      {page && page.files.length === 0 && <p class="quiet">{prefix || pages.length > 1 ? 'No such files.' : 'No files yet.'}</p>}
      {(pages.length > 1 || next) && (
        <div class="row pager">
          <button type="button" id="files-back" disabled={pages.length === 1} onClick={() => turnTo(pages.slice(0, -1))}>
            Back
          </button>
          <span class="quiet">Page {pages.length}</span>
          <button type="button" id="files-next" disabled={!next} onClick={() => next && turnTo([...pages, next])}>
            Next
          </button>
        </div>
      )}
      {chosen !== undefined && (
        <FileCard
          key={chosen}
          name={chosen}
          onGone={() => {
            choose(undefined);
            again();
          }}
          onClose={() => choose(undefined)}
        />
      )}
      <UploadForm onDone={again} />
    </>
  );
}

function FileTable({ files, chosen, choose }: { files: StoredFile[]; chosen?: string; choose: (name: string) => void }) {
  return (
    <div class="scroll files-scroll" role="region" aria-label="Files" tabIndex={0}>
      <table class="files" id="files">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col" class="wide">
              Stored
            </th>
          </tr>
        </thead>
        <tbody>
          {files.map((file) => (
            <tr key={file.name} data-file={file.name} aria-current={file.name === chosen || undefined}>
              <th scope="row">
                <button type="button" class="name" onClick={() => choose(file.name)}>
                  <bdi>{plainName(file.name)}</bdi>
                </button>
              </th>
              <td class="number">{bytes(file.size)}</td>
              <td class="wide">{when(file.stored)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const when = (time: string) => new Date(time).toLocaleString();

interface Outcome {
  text: string;
  bad: boolean;
}

/** One transfer, or another piece of work, at a time; what came of it. */
function useWork() {
  const [outcome, tell] = useState<Outcome>();
  const [far, setFar] = useState<{ done: number; of: number }>();
  const [isBusy, setBusy] = useState(false);
  const stop = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const attempt = async (work: (progress: Progress, signal: AbortSignal) => Promise<string>) => {
    const ends = (stop.current = new AbortController());
    setBusy(true);
    tell(undefined);
    try {
      tell({ text: await work((done, of) => setFar({ done, of }), ends.signal), bad: false });
    } catch (error) {
      const unknown = error instanceof ApiError && error.executed !== 'no' ? ' (it may have happened)' : '';
      tell({ text: ends.signal.aborted ? 'Stopped.' : (error as Error).message + unknown, bad: true });
    }
    setBusy(false);
    setFar(undefined);
  };
  return { outcome, far, isBusy, attempt, stop: () => stop.current?.abort() };
}

function Work({ id, work }: { id: string; work: ReturnType<typeof useWork> }) {
  const { far, outcome } = work;
  return (
    <>
      {far && (
        <div class="row transfer">
          <progress aria-label="Progress" max={Math.max(far.of, 1)} value={far.done} />
          <span class="number">
            {bytes(far.done)} of {bytes(far.of)}
          </span>
          <button type="button" onClick={work.stop}>
            Stop
          </button>
        </div>
      )}
      <output id={id} class={outcome?.bad ? 'problem' : ''} aria-live="polite">
        {outcome?.text}
      </output>
    </>
  );
}

/** What there is to know of one file, and what can be done with it. */
function FileCard({ name, onGone, onClose }: { name: string; onGone: () => void; onClose: () => void }) {
  const { api } = useStore();
  const work = useWork();
  const [file, setFile] = useState<StoredFile>();
  const [asks, setAsks] = useState(false); // whether to remove it
  const read = async () => {
    setFile(await statFile(api, name));
    return '';
  };
  const card = useRef<HTMLElement>(null);
  useEffect(() => {
    card.current?.scrollIntoView({ block: 'nearest' });
    void work.attempt(read);
  }, []);
  const download = () =>
    work.attempt(async (progress, signal) => {
      const now = await statFile(api, name);
      setFile(now);
      saveBlob(await downloadFile(api, now, progress, signal), name);
      return `Fetched, ${bytes(now.size)}.`;
    });
  const remove = () =>
    work.attempt(async () => {
      await removeFile(api, file!);
      onGone();
      return 'Removed.';
    });
  return (
    <section class="call-form file-card" aria-label="File" ref={card}>
      <h3>
        <bdi>{plainName(name)}</bdi>
      </h3>
      {file && (
        <dl id="file-stat">
          <dt>Size</dt>
          <dd>
            {bytes(file.size)} <small>({file.size.toLocaleString('en')} bytes)</small>
          </dd>
          <dt>Type</dt>
          <dd>{file.type || 'not said'}</dd>
          <dt>Stored</dt>
          <dd>{when(file.stored)}</dd>
          <dt>Hash</dt>
          <dd>
            <code>{file.hash}</code>
          </dd>
        </dl>
      )}
      {asks ? (
        <AskRemoval
          what="file"
          id="file-remove-yes"
          question="Remove it from all nodes?"
          isBusy={work.isBusy}
          onRemove={() => void remove()}
          onKeep={() => setAsks(false)}
        />
      ) : (
        <div class="row">
          <button type="button" class="primary" id="file-download" disabled={work.isBusy} onClick={() => void download()}>
            Download
          </button>
          <button type="button" id="file-remove" disabled={work.isBusy || !file} onClick={() => setAsks(true)}>
            Remove…
          </button>
          <button type="button" disabled={work.isBusy} onClick={() => void work.attempt(read)}>
            Read again
          </button>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      )}
      <Work id="file-outcome" work={work} />
    </section>
  );
}

function UploadForm({ onDone }: { onDone: () => void }) {
  const { api } = useStore();
  const work = useWork();
  const [file, setFile] = useState<File>();
  const [name, setName] = useState('');
  const [replaces, setReplaces] = useState(false);
  const upload = () =>
    work.attempt(async (progress, signal) => {
      const stored = await uploadFile(api, { name, file: file!, replaces }, progress, signal);
      onDone();
      return `'${plainName(stored.name)}' is stored, ${bytes(stored.size)}.`;
    });
  return (
    <form
      class="call-form"
      aria-label="New file"
      onSubmit={(event) => {
        event.preventDefault();
        if (file) void upload();
      }}
    >
      <h3>New file</h3>
      <label for="upload-file">File</label>
      <input
        id="upload-file"
        type="file"
        required
        onChange={(event) => {
          const picked = event.currentTarget.files?.[0];
          setFile(picked);
          if (picked) setName(picked.name);
        }}
      />
      <label for="upload-name">Name in the cluster</label>
      <input id="upload-name" type="text" required spellcheck={false} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      <div class="row">
        <button type="submit" class="primary" id="upload-go" disabled={work.isBusy || !file}>
          Store
        </button>
        <label class="plain">
          <input id="upload-replace" type="checkbox" checked={replaces} onChange={(event) => setReplaces(event.currentTarget.checked)} /> replace a file of this
          name
        </label>
      </div>
      <Work id="upload-outcome" work={work} />
    </form>
  );
}

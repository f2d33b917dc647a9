import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api';
import { clock, count, plainName } from '../format';
import { Handovers } from '../handovers';
import { type KvChange, type KvFound, type KvPage, type KvStatus, deleteKey, readKey, readKeys, readOwnKvStatus, watchKeys, writeKey } from '../kv';
import { useLater } from '../later';
import { useStore } from '../store';

const kPeriod = 10_000;
const kPeriodOfTrouble = 3000;
const kGather = 100; // milliseconds in which changes are shown together
const kChangesShown = 6;

interface Query {
  bucket: string;
  prefix: string;
  from: string;
}

interface Keys {
  page?: KvPage;
  status?: KvStatus;
  problem: string;
  watched: boolean; // somebody tells changes just now
  changes: KvChange[]; // the last ones, newest first
}

/** The keys of a bucket: read when the node tells of a change, and now and then. */
function useKeys(query: Query, turn: number): Keys {
  const { api } = useStore();
  const [seen, see] = useState<Keys>({ problem: '', watched: false, changes: [] });
  const soon = useRef<() => void>(() => {});
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let isAsking = false;
    let isOld = false; // something happened since it was asked
    const ask = async () => {
      isAsking = true;
      isOld = false;
      let period = kPeriod;
      try {
        const [page, status] = await Promise.all([readKeys(api, query.bucket, query.prefix, query.from, stop.signal), readOwnKvStatus(api)]);
        if (!stop.signal.aborted) see((last) => ({ ...last, page, status, problem: '' }));
      } catch (error) {
        if (!stop.signal.aborted) see((last) => ({ ...last, page: undefined, problem: (error as Error).message }));
        period = kPeriodOfTrouble;
      }
      isAsking = false;
      if (!stop.signal.aborted) timer = window.setTimeout(() => void ask(), isOld ? kGather : period);
    };
    soon.current = () => {
      isOld = true;
      if (isAsking || stop.signal.aborted) return;
      clearTimeout(timer);
      timer = window.setTimeout(() => void ask(), kGather);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [query.bucket, query.prefix, query.from, turn]);
  useEffect(() => {
    const stop = new AbortController();
    see((last) => ({ ...last, changes: [], watched: false }));
    const take = (rows: KvChange[]) => {
      const changes = rows.filter(({ event }) => event === 'put' || event === 'del').reverse();
      const begun = rows.find(({ event }) => event === 'watching');
      see((last) => ({
        ...last,
        watched: begun ? (begun.members ?? []).length > 0 : true,
        changes: [...changes, ...last.changes].slice(0, kChangesShown),
      }));
      soon.current();
    };
    const told = (watched: boolean) => {
      see((last) => ({ ...last, watched }));
      soon.current(); // something may have happened that was not told
    };
    void watchKeys(api, query.bucket, query.prefix, take, told, stop.signal);
    return () => stop.abort();
  }, [query.bucket, query.prefix]);
  return seen;
}

/** The key-value store: its keys, and one of them to look at, to change and to remove. */
export function KvPanel() {
  const store = useStore();
  const [query, ask] = useState<Query>({ bucket: 'default', prefix: '', from: '' });
  const [turn, setTurn] = useState(0);
  const [key, setKey] = useState<string>();
  const [bucket, typeBucket] = useState('default'); // as typed: what is drawn meanwhile must not undo it
  const [prefix, typePrefix] = useState(''); // not asked for before it is typed
  const later = useLater();
  const { page, status, problem, watched, changes } = useKeys(query, turn);
  const open = (chosen: string) => {
    setKey(chosen);
    void store.findKey(`${query.bucket}/${chosen}`); // its place on the ring
  };
  return (
    <>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <label class="filter">
          Bucket{' '}
          <input
            id="kv-bucket"
            type="text"
            value={bucket}
            spellcheck={false}
            onInput={(event) => typeBucket(event.currentTarget.value)}
            onChange={(event) => {
              const chosen = event.currentTarget.value || 'default';
              typeBucket(chosen);
              typePrefix('');
              later(() => ask({ bucket: chosen, prefix: '', from: '' }));
              setKey(undefined);
            }}
          />
        </label>
        <label class="filter">
          Keys that begin with{' '}
          <input
            id="kv-prefix"
            type="search"
            value={prefix}
            onInput={(event) => {
              const typed = event.currentTarget.value;
              typePrefix(typed);
              later(() => ask({ ...query, prefix: typed, from: '' }));
            }}
          />
        </label>
      </form>
      {problem && (
        <p class="problem" id="kv-problem" role="alert">
          {problem}
        </p>
      )}
      {status && (
        <p class="quiet" id="kv-status">
          {status.settled ? 'This node holds all that it is to hold' : 'This node has not got all that it is to hold'}
          {status.durable ? ', on its disk.' : ', in memory.'}
          {status.hints > 0 ? ` It keeps ${count(status.hints)} writes for nodes that missed them.` : ''}
        </p>
      )}
      {status && <Handovers />}
      {page && (
        <>
          <ul class="kv-keys" id="kv-keys" aria-label="Keys">
            {page.keys.map((each) =>
              typeof each === 'string' ? (
                <li key={each}>
                  <button type="button" class="name" aria-pressed={each === key} data-key={each} onClick={() => open(each)}>
                    <bdi>{plainName(each)}</bdi>
                  </button>
                </li>
              ) : (
                <li key={each.$bytes}>
                  <code title="a key that is no text, in base64">{each.$bytes}</code>
                </li>
              ),
            )}
          </ul>
          {page.keys.length === 0 && <p class="quiet">No keys.</p>}
          <div class="row">
            {query.from !== '' && (
              <button type="button" onClick={() => ask({ ...query, from: '' })}>
                From the first
              </button>
            )}
            {typeof page.next === 'string' && (
              <button type="button" onClick={() => ask({ ...query, from: page.next as string })}>
                More
              </button>
            )}
          </div>
        </>
      )}
      {page && <Changes watched={watched} changes={changes} />}
      <Editor key={`${query.bucket}/${key ?? ''}`} bucket={query.bucket} name={key} change={changes.find((change) => change.key === key)?.seq} onDone={() => setTurn(turn + 1)} onClose={() => setKey(undefined)} />
    </>
  );
}

/** What changed last, wherever in the ring. */
function Changes({ watched, changes }: { watched: boolean; changes: KvChange[] }) {
  return (
    <section class="kv-changes" aria-label="Changes">
      <p class="quiet" id="kv-watch">
        {watched ? 'Changes, as they happen on any node:' : 'Changes are not told just now; the keys are read every few seconds.'}
        {watched && changes.length === 0 ? ' none yet.' : ''}
      </p>
      <ul>
        {changes.map(({ seq, event, key }) => (
          <li key={seq}>
            <time>{clock(seq / 1000)}</time> <span class={`state ${event === 'put' ? 'alive' : 'stopped'}`}>{event === 'put' ? 'written' : 'removed'}</span>{' '}
            {typeof key === 'string' ? <bdi>{plainName(key)}</bdi> : <code>{key?.$bytes}</code>}
          </li>
        ))}
      </ul>
    </section>
  );
}

interface EditorProps {
  bucket: string;
  name?: string; // undefined: a new key
  change?: number; // the last change of it that was told
  onDone: () => void;
  onClose: () => void;
}

/** A form for a new key, or for one that there is. */
function Editor({ bucket, name, change, onDone, onClose }: EditorProps) {
  const { api } = useStore();
  const [found, setFound] = useState<KvFound>();
  const [typedKey, typeKey] = useState('');
  const [value, type] = useState('');
  const [outcome, tell] = useState<{ text: string; bad: boolean }>();
  const [isBusy, setBusy] = useState(false);

  const attempt = async (work: () => Promise<string>) => {
    setBusy(true);
    try {
      tell({ text: await work(), bad: false });
    } catch (error) {
      const executed = error instanceof ApiError && error.executed !== 'no' ? ' (it may have happened)' : '';
      tell({ text: (error as Error).message + executed, bad: true });
    }
    setBusy(false);
  };
  const read = async (key: string) => {
    const now = await readKey(api, bucket, key);
    setFound(now);
    type(now && !now.binary ? now.values.join('\n') : '');
    if (!now) return 'There is no such key any more.';
    if (now.values.length > 1) return 'Siblings: written without knowledge of each other. Save what they mean together.';
    return now.binary ? now.values[0]! : '';
  };
  useEffect(() => {
    if (name !== undefined) void attempt(() => read(name));
  }, []);
  const loaded = found && !found.binary ? found.values.join('\n') : '';
  useEffect(() => {
    if (name === undefined || change === undefined || isBusy) return;
    void readKey(api, bucket, name).then((now) => {
      if (!found || now?.context === found.context) return; // what this page wrote
      if (value !== loaded) tell({ text: 'It was changed elsewhere meanwhile: what you save stands beside that, until one of you saves both.', bad: true });
      else void attempt(async () => (await read(name)) || 'Changed elsewhere just now.');
    }, () => {});
  }, [change]);

  const save = () =>
    attempt(async () => {
      if (name === undefined) {
        await writeKey(api, bucket, typedKey, value);
        typeKey('');
        type('');
        onDone();
        return `'${typedKey}' is written.`;
      }
      await writeKey(api, bucket, name, value, found?.context ?? '');
      const problem = await read(name);
      onDone();
      return problem || 'Saved.';
    });
  const remove = () =>
    attempt(async () => {
      await deleteKey(api, bucket, name!, found?.context ?? '');
      onDone();
      onClose();
      return 'Removed.';
    });
  return (
    <form
      class="call-form kv-editor"
      aria-label={name === undefined ? 'New key' : `Key ${name}`}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <h3>{name === undefined ? 'New key' : <bdi>{plainName(name)}</bdi>}</h3>
      {name === undefined && (
        <>
          <label for="kv-key">Key</label>
          <input id="kv-key" type="text" required value={typedKey} onInput={(event) => typeKey(event.currentTarget.value)} />
        </>
      )}
      <label for="kv-value">Value</label>
      <textarea id="kv-value" rows={4} spellcheck={false} value={value} onInput={(event) => type(event.currentTarget.value)} />
      <div class="row">
        <button type="submit" class="primary" id="kv-save" disabled={isBusy}>
          {name === undefined ? 'Add' : 'Save'}
        </button>
        {name !== undefined && (
          <>
            <button type="button" id="kv-remove" disabled={isBusy} onClick={() => void remove()}>
              Remove
            </button>
            <button type="button" disabled={isBusy} onClick={() => void attempt(() => read(name))}>
              Read again
            </button>
            <button type="button" onClick={onClose}>
              Close
            </button>
          </>
        )}
      </div>
      <output id="kv-outcome" class={outcome?.bad ? 'bad' : ''} aria-live="polite">
        {outcome?.text}
      </output>
    </form>
  );
}

import { useEffect, useRef, useState } from 'preact/hooks';
import { clock, count, plainName } from '../format';
import { Handovers } from '../handovers';
import { type KvChange, type KvPage, type KvStatus, readKeys, readOwnKvStatus, watchKeys } from '../kv';
import { type Draft, KvEditor } from '../kv_editor';
import { useRested } from '../later';
import { useStore } from '../store';

const kPeriod = 10_000;
const kPeriodOfTrouble = 3000;
const kGather = 100; // milliseconds in which changes are shown together
const kChangesShown = 6;
const kBucket = 'default';

interface Query {
  bucket: string;
  prefix: string;
  from: string;
}

interface Keys {
  bucket?: string; // of the page
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
        if (!stop.signal.aborted) see((last) => ({ ...last, bucket: query.bucket, page, status, problem: '' }));
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
  const [filter, type] = useState({ bucket: kBucket, prefix: '' }); // as typed, and all here works in that bucket
  const bucket = filter.bucket || kBucket;
  const rested = useRested(filter);
  const [begun, begin] = useState({ of: rested, from: '' });
  const from = begun.of === rested ? begun.from : '';
  const [turn, setTurn] = useState(0);
  const seen = useKeys({ bucket: rested.bucket || kBucket, prefix: rested.prefix, from }, turn);
  const { status, problem, watched, changes } = seen;
  const page = seen.bucket === bucket ? seen.page : undefined;
  const [chosen, choose] = useState<{ bucket: string; key: string }>();
  const key = chosen?.bucket === bucket ? chosen.key : undefined;
  const idOf = (each?: string) => (each === undefined ? '' : `${bucket}/${each}`); // a new key goes with any bucket
  const id = idOf(key);
  const [drafts, setDrafts] = useState<Record<string, Draft>>({});
  const open = (each: string) => {
    choose({ bucket, key: each });
    void store.findKey(`${bucket}/${each}`); // its place on the ring
  };
  const onDraft = (change: (now?: Draft) => Draft | undefined) =>
    setDrafts(({ [id]: now, ...others }) => {
      const draft = change(now);
      return draft ? { ...others, [id]: draft } : others;
    });
  return (
    <>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <label class="filter">
          Bucket{' '}
          <input
            id="kv-bucket"
            type="text"
            value={filter.bucket}
            placeholder={kBucket}
            spellcheck={false}
            onInput={(event) => type({ ...filter, bucket: event.currentTarget.value })}
          />
        </label>
        <label class="filter">
          Keys that begin with{' '}
          <input
            id="kv-prefix"
            type="search"
            value={filter.prefix}
            onInput={(event) => type({ ...filter, prefix: event.currentTarget.value })}
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
                  {drafts[idOf(each)] && <small> not saved</small>}
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
            {from !== '' && (
              <button type="button" onClick={() => begin({ of: rested, from: '' })}>
                From the first
              </button>
            )}
            {typeof page.next === 'string' && (
              <button type="button" onClick={() => begin({ of: rested, from: page.next as string })}>
                More
              </button>
            )}
          </div>
        </>
      )}
      {page && <Changes watched={watched} changes={changes} />}
      <KvEditor
        key={id}
        bucket={bucket}
        name={key}
        change={changes.find((change) => change.key === key)?.seq}
        draft={drafts[id]}
        onDraft={onDraft}
        onDone={() => setTurn((n) => n + 1)}
        onClose={() => choose(undefined)}
      />
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

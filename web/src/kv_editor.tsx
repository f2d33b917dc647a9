import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api';
import { AskRemoval } from './ask_removal';
import { clock, plainName } from './format';
import { spanOf } from './forms';
import { type KvFound, deleteKey, readKey, writeKey } from './kv';
import { useStore } from './store';

/** What was typed and is not written yet. */
export interface Draft {
  base?: KvFound; // what was shown when it was begun
  key?: string; // of a new one
  value?: string;
  life?: Life;
  ttl?: string;
}

/** As long as what was found, for ever, or for a time. */
type Life = 'kept' | 'ever' | 'for';

interface EditorProps {
  bucket: string;
  name?: string; // undefined: a new key
  change?: number; // the last change of it that was told
  draft?: Draft;
  onDraft: (change: (now?: Draft) => Draft | undefined) => void;
  onDone: () => void;
  onClose: () => void;
}

const kDay = 86_400_000;
const kBrief = 200; // characters of bytes that are no text
const when = (time: number) => (time - Date.now() < kDay ? clock(time) : new Date(time).toLocaleString());
const brief = (text: string) => (text.length > kBrief ? `${text.slice(0, kBrief)}…` : text);
const unix = (text: string) => text.replace(/\r\n?/g, '\n'); // as a textarea has it

/** A form for a new key, or for one that there is. Nothing that was typed goes unless that is asked for. */
export function KvEditor({ bucket, name, change, draft, onDraft, onDone, onClose }: EditorProps) {
  const { api } = useStore();
  const [found, setFound] = useState<KvFound | null>(); // null: there is none
  const [outcome, tell] = useState<{ text: string; bad: boolean }>();
  const [isBusy, setBusy] = useState(false);
  const [asks, setAsks] = useState(false); // whether to remove it
  const isNew = name === undefined;
  const base = draft?.base ?? found;
  const isBinary = base?.binary ?? false;
  const text = base && !isBinary ? base.values.join('\n') : '';
  const value = draft?.value ?? unix(text);
  const life = draft?.life ?? (base?.until === undefined ? 'ever' : 'kept');
  const now = useRef({ draft, base, isBusy });
  now.current = { draft, base, isBusy };
  const edit = (part: Draft) => onDraft((last) => ({ base: base ?? undefined, ...last, ...part }));

  const attempt = async (work: () => Promise<string>) => {
    setBusy(true);
    tell(undefined);
    try {
      tell({ text: await work(), bad: false });
    } catch (error) {
      const executed = error instanceof ApiError && error.executed !== 'no' ? ' (it may have happened)' : '';
      tell({ text: (error as Error).message + executed, bad: true });
    }
    setBusy(false);
  };
  const show = (read: KvFound | undefined, otherwise: string) => {
    setFound(read ?? null);
    if (!read) return 'There is no such key any more.';
    return read.values.length > 1 ? 'Siblings: written without knowledge of each other. Save what they mean together.' : otherwise;
  };
  const read = async (key: string, otherwise = '') => show(await readKey(api, bucket, key), otherwise);
  const readAgain = async (key: string) => {
    const said = await read(key);
    onDraft(() => undefined);
    return said;
  };
  /** Shows what it is now, unless something is typed. */
  const look = async (key: string) => {
    const { base: before } = now.current;
    const there = await readKey(api, bucket, key);
    if (now.current.isBusy || now.current.base !== before || there?.context === before?.context) return; // what this page wrote
    if (now.current.draft) tell({ text: 'It was changed elsewhere meanwhile: what you save stands beside that, until one of you saves both.', bad: true });
    else tell({ text: show(there, 'Changed elsewhere just now.'), bad: false });
  };
  useEffect(() => {
    if (!isNew && !draft?.base) void attempt(() => read(name));
  }, []);
  useEffect(() => {
    if (!isNew && base !== undefined && !isBusy) void look(name).catch(() => {});
  }, [change]);

  const span = () => {
    if (life === 'ever') return 0;
    const left = life === 'kept' ? Math.ceil(base!.until! - Date.now()) : spanOf(draft?.ttl ?? '');
    if (left === undefined) throw new Error('A time to live is a number and ms, s, m, h or d: 90s, 12h.');
    if (left <= 0) throw new Error('Its time is over: say how long what you save is to live.');
    return left;
  };
  const save = () =>
    attempt(async () => {
      const sent = draft;
      const ttl = span();
      if (isNew) {
        const key = sent?.key ?? '';
        await writeKey(api, bucket, key, value, ttl);
        onDraft((last) => (last === sent ? undefined : last)); // else more was typed meanwhile
        onDone();
        return `'${plainName(key)}' is written in ${bucket}.`;
      }
      const written = {
        values: [sent?.value === undefined ? text : text.includes('\r\n') ? value.replace(/\n/g, '\r\n') : value],
        binary: false,
        until: ttl === 0 ? undefined : Date.now() + ttl,
      };
      const context = await writeKey(api, bucket, name, written.values[0]!, ttl, base?.context ?? '');
      setFound({ ...written, context });
      onDraft((last) => (last === sent ? undefined : last && { ...last, base: { ...written, context } }));
      onDone();
      return read(name, 'Saved.');
    });
  const remove = () =>
    attempt(async () => {
      await deleteKey(api, bucket, name!, base?.context ?? '');
      onDraft(() => undefined);
      onDone();
      onClose();
      return 'Removed.';
    });
  const close = () => {
    onDraft(() => undefined);
    onClose();
  };
  return (
    <form
      class="call-form kv-editor"
      aria-label={isNew ? 'New key' : `Key ${name}`}
      onSubmit={(event) => {
        event.preventDefault();
        if (!asks) void save();
      }}
    >
      <h3>
        {isNew ? 'New key' : <bdi>{plainName(name)}</bdi>} <small>in {bucket}</small>
      </h3>
      {isNew && (
        <>
          <label for="kv-key">Key</label>
          <input id="kv-key" type="text" required value={draft?.key ?? ''} onInput={(event) => edit({ key: event.currentTarget.value })} />
        </>
      )}
      {isBinary && (
        <p class="quiet" id="kv-bytes">
          {base!.values.map(brief).join(' | ')}. What you type here is saved in its place.
        </p>
      )}
      <label for="kv-value">Value</label>
      <textarea
        id="kv-value"
        rows={4}
        spellcheck={false}
        disabled={!isNew && base === undefined}
        value={value}
        onInput={(event) => edit({ value: event.currentTarget.value })}
      />
      <label for="kv-life">Lives</label>
      <div class="row">
        <select id="kv-life" value={life} onChange={(event) => edit({ life: event.currentTarget.value as Life })}>
          {base?.until !== undefined && <option value="kept">until {when(base.until)}</option>}
          <option value="ever">for ever</option>
          <option value="for">for a time</option>
        </select>
        {life === 'for' && (
          <input
            id="kv-ttl"
            type="text"
            aria-label="Time to live"
            placeholder="90s, 12h, 7d"
            size={12}
            required
            value={draft?.ttl ?? ''}
            onInput={(event) => edit({ ttl: event.currentTarget.value })}
          />
        )}
      </div>
      {asks ? (
        <AskRemoval
          what="key"
          id="kv-remove-yes"
          question={`Remove it from ${bucket}, on all nodes?`}
          isBusy={isBusy}
          onRemove={() => void remove()}
          onKeep={() => setAsks(false)}
        />
      ) : (
        <div class="row">
          <button type="submit" class="primary" id="kv-save" disabled={isBusy || (!isNew && base === undefined) || (isBinary && value === '')}>
            {isNew ? 'Add' : isBinary ? 'Replace' : 'Save'}
          </button>
          {!isNew && (
            <>
              <button type="button" id="kv-remove" disabled={isBusy || !base} onClick={() => setAsks(true)}>
                Remove…
              </button>
              <button type="button" disabled={isBusy} onClick={() => void attempt(() => readAgain(name))}>
                Read again
              </button>
              <button type="button" onClick={close}>
                Close
              </button>
            </>
          )}
        </div>
      )}
      <output id="kv-outcome" class={outcome?.bad ? 'bad' : ''} aria-live="polite">
        {outcome?.text}
      </output>
    </form>
  );
}

import { useRef, useState } from 'preact/hooks';
import { ApiError, path } from './api';
import { type Typed, controlOf, messageText } from './forms';
import { useStore } from './store';
import type { Field, ServerEvent } from './types';

interface Outcome {
  ok: boolean;
  text: string;
  note: string;
}

/** Calls a server, or casts to it, with a form made of what its event takes. */
export function CallForm({ address, events }: { address: string; events: ServerEvent[] }) {
  const store = useStore();
  const [chosen, choose] = useState('');
  const [, redraw] = useState({});
  const typed = useRef<Typed>({}); // what is in the fields now, drawn or not
  const [json, setJson] = useState<string>();
  const [outcome, setOutcome] = useState<Outcome>();
  const [isBusy, setBusy] = useState(false);
  const event = events.find((each) => each.event === chosen) ?? events[0];
  if (!event) return <p class="quiet">{address} takes no messages.</p>;

  const type = (name: string, text: string) => {
    typed.current = { ...typed.current, [name]: text };
    redraw({});
  };
  const send = async (way: 'call' | 'cast') => {
    setBusy(true);
    setOutcome(undefined);
    const begin = performance.now();
    try {
      const body = json ?? messageText(event.fields, typed.current);
      const data = await store.api.post<unknown>(path('v1', way, address, event.event), body);
      const time = `${(performance.now() - begin).toFixed(1)} ms`;
      setOutcome({ ok: true, text: way === 'cast' ? 'on its way' : JSON.stringify(data, null, 2), note: time });
    } catch (error) {
      const note = error instanceof ApiError ? `${error.code}; executed: ${error.executed}` : 'nothing was sent';
      setOutcome({ ok: false, text: (error as Error).message, note });
    }
    setBusy(false);
  };
  return (
    <form
      class="call-form"
      aria-label={`Call ${address}`}
      onSubmit={(submitted) => {
        submitted.preventDefault();
        void send(event.replies ? 'call' : 'cast');
      }}
    >
      <h3>{address}</h3>
      <label for="call-event">Event</label>
      <select
        id="call-event"
        value={event.event}
        onChange={(change) => {
          choose(change.currentTarget.value);
          typed.current = {};
          setJson(undefined);
        }}
      >
        {events.map((each) => (
          <option key={each.event} value={each.event}>
            {each.event}
            {each.replies ? '' : ' (no answer)'}
          </option>
        ))}
      </select>
      {json === undefined ? (
        <Fields fields={event.fields} typed={typed.current} onType={type} />
      ) : (
        <>
          <label for="call-json">Message, as JSON</label>
          <textarea id="call-json" rows={5} spellcheck={false} value={json} onInput={(change) => setJson(change.currentTarget.value)} />
        </>
      )}
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          {event.replies ? 'Call' : 'Cast'}
        </button>
        {event.replies && (
          <button type="button" disabled={isBusy} onClick={() => void send('cast')}>
            Cast
          </button>
        )}
        <button type="button" class="link" onClick={() => setJson(json === undefined ? draft(event.fields, typed.current) : undefined)}>
          {json === undefined ? 'write JSON instead' : 'back to the form'}
        </button>
      </div>
      <output id="call-outcome" class={outcome ? (outcome.ok ? 'good' : 'bad') : ''} aria-live="polite">
        {outcome && (
          <>
            <pre>{outcome.text}</pre>
            <span class="quiet">{outcome.note}</span>
          </>
        )}
      </output>
    </form>
  );
}

function draft(fields: Field[], typed: Typed): string {
  try {
    return messageText(fields, typed);
  } catch {
    return '{}';
  }
}

function Fields({ fields, typed, onType, prefix = '' }: {
  fields: Field[];
  typed: Typed;
  onType: (name: string, text: string) => void;
  prefix?: string;
}) {
  return (
    <>
      {fields.map((field) => {
        const name = prefix + field.name;
        const id = `field-${name}`;
        const control = controlOf(field);
        if (control === 'struct')
          return (
            <fieldset key={name}>
              <legend>
                {field.name} <small>{field.type}</small>
              </legend>
              <Fields fields={field.fields!} typed={typed} onType={onType} prefix={`${name}.`} />
            </fieldset>
          );
        const value = typed[name] ?? '';
        return (
          <div class="field" key={name}>
            <label for={id}>
              {field.name} <small>{control === 'bytes' ? `${field.type}, base64` : control === 'json' ? `${field.type}, JSON` : field.type}</small>
            </label>
            {control === 'flag' ? (
              <input id={id} type="checkbox" checked={value === 'true'} onChange={(e) => onType(name, String(e.currentTarget.checked))} />
            ) : control === 'json' ? (
              <textarea id={id} rows={2} spellcheck={false} value={value} onInput={(e) => onType(name, e.currentTarget.value)} />
            ) : (
              <input
                id={id}
                type="text"
                inputMode={control === 'number' ? 'decimal' : 'text'}
                autocomplete="off"
                spellcheck={false}
                value={value}
                onInput={(e) => onType(name, e.currentTarget.value)}
              />
            )}
          </div>
        );
      })}
    </>
  );
}

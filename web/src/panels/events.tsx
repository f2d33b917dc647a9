import { useState } from 'preact/hooks';
import { clock } from '../format';
import { useStore } from '../store';
import type { Happened } from '../types';

const kShown = 300;

/** What an event tells, in words. */
function words(event: Happened): string {
  const { seq, time_ms, event: name, ...rest } = event;
  void [seq, time_ms, name];
  if (event.id && event.state) {
    const more = event.left_out ? ` (${event.left_out} changes before are left out)` : '';
    return `${event.was} → ${event.state}${event['by'] ? `, by ${String(event['by'])}` : ''}${more}`;
  }
  return Object.entries(rest)
    .filter(([field]) => field !== 'id')
    .map(([field, value]) => `${field} ${Array.isArray(value) ? value.join(', ') : String(value)}`)
    .join('; ');
}

function kindOf(event: Happened): string {
  if (event.state) return event.state;
  if (event.event === 'quorum_lost' || event.event === 'links_cut' || event.event === 'duplicate_id') return 'unreachable';
  if (event.event === 'conflict' || event.event === 'message_refused') return 'suspect';
  return 'plain';
}

export function EventsPanel() {
  const store = useStore();
  const [filter, setFilter] = useState('');
  const [heldAt, hold] = useState(0); // 0: goes on; else the last event that is shown
  const found = store.events
    .filter((event) => heldAt === 0 || event.seq <= heldAt)
    .filter((event) => filter === '' || JSON.stringify(event).toLowerCase().includes(filter.toLowerCase()))
    .slice(-kShown)
    .reverse();
  const last = store.events[store.events.length - 1]?.seq ?? 0;
  return (
    <>
      <div class="row">
        <label class="filter">
          Show
          <input type="search" value={filter} placeholder="text in an event" onInput={(event) => setFilter(event.currentTarget.value)} />
        </label>
        <button type="button" aria-pressed={heldAt !== 0} onClick={() => hold(heldAt === 0 ? Math.max(1, last) : 0)}>
          {heldAt === 0 ? 'Hold' : `Go on (${last - heldAt} new)`}
        </button>
      </div>
      {found.length === 0 && <p class="quiet">{filter ? 'No event has this text.' : 'Nothing happened yet.'}</p>}
      <ol class="events" aria-label="Events, newest first" tabIndex={0}>
        {found.map((event) => (
          <li key={event.seq} class={kindOf(event)} data-seq={event.seq} data-event={event.event}>
            <time dateTime={new Date(event.time_ms).toISOString()}>{clock(event.time_ms)}</time>
            <span class="event-name">{event.event}</span>
            <span>
              {event.id && <strong>{event.id} </strong>}
              {words(event)}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

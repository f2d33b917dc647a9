import { useEffect, useReducer, useState } from 'preact/hooks';
import { clock, duration } from '../format';
import { useStore } from '../store';
import { calmText, hadTrouble, timelines } from '../timeline';

const kWindows = [
  { name: '2 min', length: 120_000 },
  { name: '10 min', length: 600_000 },
  { name: '1 h', length: 3_600_000 },
];
const kRowsMax = 24; // without being asked for all

export function TimelinePanel() {
  const store = useStore();
  const [length, setLength] = useState(kWindows[1]!.length);
  const [all, setAll] = useState(false);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(() => redraw(undefined as never), 1000);
    return () => clearInterval(timer);
  }, []);
  const to = store.now();
  const from = to - length;
  const rows = [...timelines(store.events, store.members, from, to)];
  const troubled = rows.filter(([, segments]) => hadTrouble(segments));
  const shown = all || rows.length <= kRowsMax ? rows : troubled.slice(0, kRowsMax);
  return (
    <>
      <div class="row">
        <fieldset class="choice">
          <legend class="sr-only">Time shown</legend>
          {kWindows.map((window) => (
            <label key={window.name}>
              <input type="radio" name="window" checked={length === window.length} onChange={() => setLength(window.length)} />
              {window.name}
            </label>
          ))}
        </fieldset>
        {rows.length > kRowsMax && (
          <label>
            <input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> all {rows.length} members
          </label>
        )}
      </div>
      {shown.length === 0 && <p class="quiet">{calmText(rows.map(([, segments]) => segments))}</p>}
      <div class="timeline" role="list" aria-label="States of the members over time">
        {shown.map(([id, segments]) => (
          <div key={id} class="timeline-row" role="listitem" data-member={id}>
            <span class="timeline-name">{id}</span>
            <span class="track">
              {segments.map((segment) => (
                <span
                  key={segment.begin}
                  class={`segment ${segment.state}`}
                  style={{
                    left: `${(100 * (segment.begin - from)) / length}%`,
                    width: `${(100 * (segment.end - segment.begin)) / length}%`,
                  }}
                  title={`${segment.state} from ${clock(segment.begin)} for ${duration(segment.end - segment.begin)}`}
                >
                  <span class="sr-only">
                    {segment.state} for {duration(segment.end - segment.begin)};
                  </span>
                </span>
              ))}
            </span>
          </div>
        ))}
        {shown.length > 0 && (
          <div class="timeline-row axis" aria-hidden="true">
            <span class="timeline-name" />
            <span class="track">
              <span>{clock(from)}</span>
              <span>{clock(from + length / 2)}</span>
              <span>now</span>
            </span>
          </div>
        )}
      </div>
      <p class="legend quiet">
        {(['alive', 'suspect', 'unreachable', 'stopped', 'unknown'] as const).map((state) => (
          <span key={state}>
            <span class={`swatch segment-colour ${state}`} aria-hidden="true" /> {state}
          </span>
        ))}
      </p>
    </>
  );
}

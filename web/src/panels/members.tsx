import { useState } from 'preact/hooks';
import { colourOf } from '../colours';
import { byName, duration, percent } from '../format';
import { handoverText } from '../handover';
import { LeavingBadge } from '../handovers';
import { StateBadge } from '../state_badge';
import { isLeaving, useStore } from '../store';

const kFilterFrom = 12;

export function MembersPanel() {
  const store = useStore();
  const [filter, setFilter] = useState('');
  const onRing = new Map(store.ring?.members.map((member) => [member.id, member]));
  const ids = [...new Set([...onRing.keys(), ...store.members.map((member) => member.id)])]
    .filter((id) => id.includes(filter) || store.stateOf(id).includes(filter))
    .sort(byName);
  const zoned = [...onRing.values()].some((member) => member.zone);
  const most = Math.max(0.0001, ...[...onRing.values()].map((member) => member.share));
  return (
    <>
      {(onRing.size > kFilterFrom || filter) && (
        <label class="filter">
          Show
          <input type="search" value={filter} placeholder="an id or a state" onInput={(event) => setFilter(event.currentTarget.value)} />
        </label>
      )}
      <div class="scroll">
        <table class="members">
          <thead>
            <tr>
              <th scope="col">Member</th>
              <th scope="col">State</th>
              <th scope="col" class="wide">
                Since
              </th>
              <th scope="col" class="wide">
                Address
              </th>
              {zoned && (
                <th scope="col" class="wide">
                  Zone
                </th>
              )}
              <th scope="col" class="number wide">
                Weight
              </th>
              <th scope="col">Share of keys</th>
            </tr>
          </thead>
          <tbody>
            {ids.map((id) => {
              const member = store.members.find((each) => each.id === id);
              const place = onRing.get(id);
              const state = member?.state ?? 'unknown';
              const keys = store.stores.get(id);
              const moving = keys ? handoverText(keys) : '';
              return (
                <tr key={id} data-member={id} data-state={state} aria-current={store.selected === id ? 'true' : undefined}>
                  <th scope="row">
                    <button type="button" class="name" aria-pressed={store.selected === id} onClick={() => store.select(id)}>
                      <span class="swatch" style={{ background: colourOf(id, state) }} aria-hidden="true" />
                      {id}
                      {id === store.self && <small> here</small>}
                    </button>
                  </th>
                  <td>
                    <StateBadge state={state} /> {place && isLeaving(place) && <LeavingBadge />}
                  </td>
                  <td class="wide">{member ? duration(member.for_ms + Date.now() - store.membersAt) : '–'}</td>
                  <td class="wide">{place || member ? `${(place ?? member)!.host}:${(place ?? member)!.port}` : '–'}</td>
                  {zoned && <td class="wide">{place?.zone ?? '–'}</td>}
                  <td class="number wide">{place?.weight ?? '–'}</td>
                  <td>
                    {place ? (
                      <span class="bar">
                        <span
                          class="fill"
                          style={{ width: `${(100 * place.share) / most}%`, background: colourOf(id, state) }}
                          aria-hidden="true"
                        />
                        <span class="text">{percent(place.share)}</span>
                      </span>
                    ) : (
                      <small>not in the ring</small>
                    )}
                    {moving && <small class="moving">{moving}</small>}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {store.ring && store.ring.members.length > 1 && (
        <p class="quiet">
          The greatest share is {store.ring.max_over_mean.toFixed(2)} times the mean. New members weigh {store.ring.rfactor}; each key
          has {store.ring.pfactor + 1} places.
        </p>
      )}
    </>
  );
}

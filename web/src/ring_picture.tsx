import { useMemo, useState } from 'preact/hooks';
import { wayOf } from './chord';
import { colourOf, kSigns } from './colours';
import { percent } from './format';
import { kPhone, kZoomSmall, useMedia } from './media';
import { kCentre, kSize, linkPath, middleOf, placeAlongRadii, placeLabels, point, sectorPath, sectorsByMember, shareSectors } from './ring_geometry';
import { isLeaving, useStore } from './store';
import type { MemberState } from './types';
import { WayPicture } from './way_picture';

const kBand = { inner: 286, outer: 312 }; // where the virtual nodes lie
const kShares = { inner: 266, outer: 280 }; // how much each member owns
const kDots = 236;
const kLabels = 206;
const kRadial = 219;
const kLabelsMax = 16; // members that are named on the ring all the time, side by side
const kLabelsMaxSmall = 8; // on a phone
const kRadialMax = 64; // and along the radii
const kTroubleNamedMax = 4; // of many, those that are not well are named if they are few

/** The ring: outside whose keys lie where, inside each member at the middle of its share, with the links of this
 *  node. One stop for the keyboard; arrows move from member to member. */
export function RingPicture() {
  const store = useStore();
  const [pointed, point_at] = useState('');
  const members = store.ring?.members ?? [];
  const sectors = useMemo(() => (store.arcs ? sectorsByMember(store.arcs) : new Map()), [store.arcs]);
  const paths = useMemo(
    () => new Map([...sectors].map(([id, of]) => [id, sectorPath(of, kBand.inner, kBand.outer)])),
    [sectors],
  );
  const shares = useMemo(() => shareSectors(members), [store.ring]);
  const many = members.length > 40;
  const sharePaths = useMemo(
    () => new Map([...shares].map(([id, of]) => [id, sectorPath([of], kShares.inner, kShares.outer, many ? 0.004 : 0.012)])),
    [shares, many],
  );
  const middle = (id: string) => {
    const share = shares.get(id);
    return share ? (share.begin + share.end) / 2 : 0;
  };
  const replicas = store.place?.replicas.map((each) => each.id) ?? [];
  const way = store.chordFound ? wayOf(store.chordFrom, store.chordFound) : [];
  const shown = pointed || store.selected;
  const isDim = (id: string) => (shown ? shown !== id : replicas.length > 0 && !replicas.includes(id) && !way.includes(id));
  const alive = members.filter((member) => store.stateOf(member.id) === 'alive').length;
  const isSmall = useMedia(kPhone);
  const room = (Math.PI * kDots) / Math.max(1, members.length); // half of what each has on the circle
  const usualSize = Math.min(many ? 5 : members.length > 16 ? 8 : 13, Math.max(2.5, 0.85 * room));
  const isTrouble = (state: MemberState) => state !== 'alive' && state !== 'unknown';
  const namesTrouble = members.filter((member) => isTrouble(store.stateOf(member.id))).length <= kTroubleNamedMax;

  const nameOf = (id: string) => {
    const which = replicas.indexOf(id);
    return which >= 0 && usualSize < 8 ? `${which + 1} · ${id}` : id;
  };
  const isRadial = !isSmall && members.length > kLabelsMax && members.length <= kRadialMax;
  const isNamed = (id: string) =>
    isRadial ||
    members.length <= (isSmall ? kLabelsMaxSmall : kLabelsMax) ||
    shown === id ||
    replicas.includes(id) ||
    (way.includes(id) && !isSmall) ||
    (isTrouble(store.stateOf(id)) && namesTrouble);
  const rank = (id: string) => (shown === id ? -1 : replicas.includes(id) ? replicas.indexOf(id) : replicas.length);
  const named = members
    .filter(({ id }) => isNamed(id))
    .sort((a, b) => rank(a.id) - rank(b.id)) // these lie at their members
    .map(({ id }) => ({ id, text: nameOf(id), turn: middle(id) }));
  const zoom = isSmall ? kZoomSmall : 1;
  const names = isRadial ? placeAlongRadii(named, kRadial) : placeLabels(named, kLabels, 'within', zoom, middleOf(zoom));

  const onKey = (event: KeyboardEvent) => {
    const at = members.findIndex((member) => member.id === store.selected);
    const last = members.length - 1;
    const [after, before] = [at < last ? at + 1 : 0, at > 0 ? at - 1 : last];
    const next = { ArrowRight: after, ArrowDown: after, ArrowLeft: before, ArrowUp: before, Home: 0, End: last }[event.key];
    if (event.key === 'Escape' && store.selected) store.select(store.selected);
    if (next === undefined || last < 0) return;
    event.preventDefault();
    if (next !== at) store.select(members[next]!.id);
  };

  const self = middle(store.self);
  const from = point(self, kDots);
  const pin = store.place ? { at: store.place.position, ...point(store.place.position, kBand.outer + 3) } : undefined;
  const label = `Ring ${store.ring?.ring ?? ''} of ${members.length} members, ${alive} alive`;
  return (
    <svg
      class="ring"
      viewBox={`0 0 ${kSize} ${kSize}`}
      role="listbox"
      aria-label={`${label}. Arrow keys, Home and End choose a member.`}
      aria-activedescendant={store.selected ? `on-ring-${store.selected}` : undefined}
      tabindex={0}
      onKeyDown={onKey}
      onMouseLeave={() => point_at('')}
    >
      <g transform={`translate(${kCentre} ${kCentre})`} aria-hidden="true">
        {[...paths].map(([id, path]) => (
          <path
            key={id}
            class={`arcs ${isDim(id) ? 'dim' : ''}`}
            d={path}
            style={{ fill: colourOf(id, store.stateOf(id)) }}
            onMouseEnter={() => point_at(id)}
            onClick={() => store.select(id)}
          />
        ))}
        {[...sharePaths].map(([id, path]) => (
          <path
            key={id}
            class={`share ${isDim(id) ? 'dim' : ''}`}
            d={path}
            style={{ fill: colourOf(id, store.stateOf(id)) }}
            onMouseEnter={() => point_at(id)}
            onClick={() => store.select(id)}
          />
        ))}
      </g>
      <g class={many ? 'links many' : 'links'} aria-hidden="true">
        {[...store.links]
          .sort((a, b) => Number(b.connected) - Number(a.connected)) // those that are down lie above the others
          .filter((link) => link.role === 'node' && (link.connected || link.keep === 'standing'))
          .filter((link) => shares.has(link.id) && shares.has(store.self))
          .map((link) => {
            const rates = store.linkRates.get(link.id);
            const speed = (rates?.in.now ?? 0) + (rates?.out.now ?? 0);
            const kind = !link.connected ? 'down' : link.queued_messages > 0 ? 'queued' : '';
            return (
              <path
                key={link.id}
                class={`ring-link ${kind} ${isDim(link.id) ? 'dim' : ''}`}
                d={linkPath(from, point(middle(link.id), kDots))}
                style={{ strokeWidth: (1 + Math.min(3.5, Math.log10(1 + speed / 200))).toFixed(1) }}
              />
            );
          })}
      </g>
      {pin && (
        <g class="key-lines" aria-hidden="true">
          {replicas.map((id, i) => {
            const to = point(middle(id), kDots);
            const start = point(pin.at, kBand.inner - 2);
            return <path key={id} class={i === 0 ? 'owner' : 'replica'} d={linkPath(start, to)} />;
          })}
        </g>
      )}
      <WayPicture way={way} place={(id) => (shares.has(id) ? point(middle(id), kDots) : undefined)} />
      {members.map((member) => {
        const state = store.stateOf(member.id);
        const at = point(middle(member.id), kDots);
        const name = names.get(member.id);
        const which = replicas.indexOf(member.id);
        const size = isTrouble(state) ? Math.max(usualSize, 9) : usualSize;
        const isDimmed = isDim(member.id) && (shown !== '' || !isTrouble(state));
        return (
          <g
            key={member.id}
            id={`on-ring-${member.id}`}
            class={`member ${state} ${isDimmed ? 'dim' : ''}`}
            role="option"
            aria-selected={store.selected === member.id}
            aria-label={`${which >= 0 ? `${which + 1} ` : ''}${member.id}, ${state}${isLeaving(member) ? ', leaving' : ''}, ${percent(member.share)} of all keys${
              which < 0 ? '' : which === 0 ? ', owner of the key' : `, copy ${which + 1} of the key`
            }${way.indexOf(member.id) > 0 ? `, hop ${way.indexOf(member.id)} of Chord's way to the key` : ''}`}
            data-member={member.id}
            data-state={state}
            data-leaving={isLeaving(member) ? 'true' : undefined}
            data-replica={which >= 0 ? which : undefined}
            onMouseEnter={() => point_at(member.id)}
            onClick={() => store.select(member.id)}
          >
            {which >= 0 && <circle class={`halo ${which === 0 ? 'owner' : ''}`} cx={at.x} cy={at.y} r={size + 6} />}
            {store.selected === member.id && <circle class="chosen" cx={at.x} cy={at.y} r={size + 4} />}
            {isLeaving(member) && <circle class="leaving-mark" cx={at.x} cy={at.y} r={size + 5} />}
            <circle cx={at.x} cy={at.y} r={size} style={{ fill: colourOf(member.id, state) }} />
            {size >= 8 && (which >= 0 || state !== 'alive') && (
              <text class="sign" x={at.x} y={at.y}>
                {which >= 0 ? which + 1 : kSigns[state]}
              </text>
            )}{' '}
            {size >= 13 && which < 0 && state === 'alive' && member.id === store.self && (
              <circle class="here" cx={at.x} cy={at.y} r={4.5} />
            )}
            {name && (
              <text
                class={name.rotate === undefined ? 'name' : 'name radial'}
                x={name.x}
                y={name.y}
                text-anchor={name.anchor}
                transform={name.rotate === undefined ? undefined : `rotate(${name.rotate.toFixed(2)} ${name.x} ${name.y})`}
              >
                {name.text}
              </text>
            )}
          </g>
        );
      })}
      {pin && (
        <g class="pin" aria-hidden="true" transform={`translate(${pin.x} ${pin.y}) rotate(${pin.at * 360})`}>
          <path d="M0,2L-7,-11A8,8 0 1 1 7,-11Z" />
        </g>
      )}
      <g class="centre" aria-hidden="true">
        <text class="count" x={kCentre} y={kCentre - 4}>
          {store.ring ? members.length : '…'}
        </text>
        <text class="under" x={kCentre} y={kCentre + 26 * zoom}>
          {members.length === 1 ? 'member' : 'members'}
          {alive < members.length ? `, ${members.length - alive} not alive` : ''}
        </text>
        {store.arcs && (
          <text class="under" x={kCentre} y={kCentre + 48 * zoom}>
            {store.arcs.points.toLocaleString('en')} virtual nodes
          </text>
        )}
      </g>
    </svg>
  );
}

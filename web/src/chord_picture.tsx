import type { ChordView } from './chord';
import { fractionOf, wayOf } from './chord';
import { colourOf } from './colours';
import { kPhone, kZoomSmall, useMedia } from './media';
import { kCentre, kSize, linkPath, placeLabels, point } from './ring_geometry';
import { useStore } from './store';
import type { ChordPlace } from './types';
import { WayPicture } from './way_picture';

const kCircle = 250;
const kNames = 282;
const kNamesSmall = 222; // on a phone there is no room around
const kNamesMax = 16; // nodes that are named all the time

/** Chord's circle: the nodes at their identifiers, the fingers of the chosen one, and the way to the key. */
export function ChordPicture({ view, nodes }: { view: ChordView; nodes: ChordPlace[] }) {
  const store = useStore();
  const isSmall = useMedia(kPhone);
  const bits = view.info.bits;
  const found = store.chordFound;
  const known = new Map<string, ChordPlace>();
  for (const node of [view.info, ...nodes, ...view.successors, ...view.fingers, ...(found ? [found.owner] : [])])
    if (!known.has(node.id)) known.set(node.id, node);
  const at = (id: string, radius: number) => {
    const node = known.get(id);
    return node && point(fractionOf(node.identifier, bits), radius);
  };
  const self = point(fractionOf(view.info.identifier, bits), kCircle);
  const fingers = [...new Set(view.fingers.map((finger) => finger.id))];
  const way = found ? wayOf(store.chordFrom, found) : [];
  const pin = found && fractionOf(found.identifier, bits);
  const size = known.size > 64 ? 4 : 8;
  const rank = (id: string) => (id === view.info.id ? -1 : way.includes(id) ? way.indexOf(id) : way.length);
  const names = placeLabels(
    [...known.values()]
      .filter(({ id }) => known.size <= kNamesMax || rank(id) < way.length)
      .sort((a, b) => rank(a.id) - rank(b.id))
      .map(({ id, identifier }) => ({ id, text: id, turn: fractionOf(identifier, bits) })),
    isSmall ? kNamesSmall : kNames,
    isSmall ? 'within' : 'around',
    isSmall ? kZoomSmall : 1,
  );
  const label = `Chord ring as ${view.info.id} knows it: ${known.size} nodes, ${fingers.length} of them fingers${
    found ? `; the way to the key: ${way.join(', ')}` : ''
  }`;
  return (
    <svg class="ring chord-ring" viewBox={`0 0 ${kSize} ${kSize}`} role="img" aria-label={label}>
      <circle class="circle" cx={kCentre} cy={kCentre} r={kCircle} />
      {fingers.map((id) => (
        <path key={id} class="finger" data-finger={id} d={linkPath(self, at(id, kCircle)!)} />
      ))}
      <WayPicture way={way} place={(id) => at(id, kCircle)} />
      {[...known.values()].map((node) => {
        const dot = point(fractionOf(node.identifier, bits), kCircle);
        const name = names.get(node.id);
        const hop = way.indexOf(node.id);
        return (
          <g key={node.id} class="member" data-chord-node={node.id} data-hop={hop >= 0 ? hop : undefined}>
            <title>{node.id}</title>
            {node.id === view.info.id && <circle class="chosen" cx={dot.x} cy={dot.y} r={size + 4} />}
            {hop > 0 && <circle class={`halo ${hop === way.length - 1 ? 'owner' : ''}`} cx={dot.x} cy={dot.y} r={size + 6} />}
            <circle cx={dot.x} cy={dot.y} r={size} style={{ fill: colourOf(node.id, store.stateOf(node.id)) }} />
            {name && (
              <text class="name" x={name.x} y={name.y} text-anchor={name.anchor}>
                {node.id}
              </text>
            )}
          </g>
        );
      })}
      {pin !== undefined && (
        <g class="pin" transform={`translate(${point(pin, kCircle + 3).x} ${point(pin, kCircle + 3).y}) rotate(${pin * 360})`}>
          <path d="M0,2L-7,-11A8,8 0 1 1 7,-11Z" />
        </g>
      )}
    </svg>
  );
}

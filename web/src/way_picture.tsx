import { linkPath } from './ring_geometry';

const kHopTime = 0.45; // seconds until the next hop lights up

/** The way of a lookup, lit up hop by hop. `place`: where a node is drawn, if it is. */
export function WayPicture({ way, place }: { way: string[]; place: (id: string) => { x: number; y: number } | undefined }) {
  return (
    <g class="way" key={way.join(' ')} aria-hidden="true">
      {way.slice(1).map((id, i) => {
        const from = place(way[i]!);
        const to = place(id);
        if (!from || !to) return null;
        return <path key={id} data-to={id} data-hop={i + 1} d={linkPath(from, to)} style={{ animationDelay: `${i * kHopTime}s` }} />;
      })}
    </g>
  );
}

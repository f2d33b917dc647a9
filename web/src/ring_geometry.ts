import { arc } from 'd3-shape';
import type { Arcs, RingMember } from './types';

/** A part of the ring, as fractions of a turn from the top, clockwise. */
export interface Sector {
  begin: number;
  end: number;
}

export const kSize = 640;
export const kCentre = kSize / 2;
export const kTurn = 2 * Math.PI;

/** The sectors of each member, by id. */
export function sectorsByMember(picture: Arcs): Map<string, Sector[]> {
  const found = new Map<string, Sector[]>();
  picture.arcs.forEach(([begin, member], i) => {
    const id = picture.members[member];
    if (id === undefined) return;
    const end = picture.arcs[i + 1]?.[0] ?? picture.parts;
    const sectors = found.get(id) ?? [];
    sectors.push({ begin: begin / picture.parts, end: end / picture.parts });
    found.set(id, sectors);
  });
  return found;
}

/** Each member's share as one sector, in the members' order; what shares leave out is spread evenly. */
export function shareSectors(members: RingMember[]): Map<string, Sector> {
  const total = members.reduce((sum, member) => sum + member.share, 0);
  const found = new Map<string, Sector>();
  let begin = 0;
  for (const member of members) {
    const end = begin + (total > 0 ? member.share / total : 1 / members.length);
    found.set(member.id, { begin, end });
    begin = end;
  }
  return found;
}

export function point(fraction: number, radius: number): { x: number; y: number } {
  const angle = fraction * kTurn;
  return { x: kCentre + radius * Math.sin(angle), y: kCentre - radius * Math.cos(angle) };
}

export interface Label {
  id: string;
  text: string;
  turn: number; // where its member is
}
export interface PlacedLabel {
  x: number;
  y: number;
  anchor: 'start' | 'middle' | 'end';
}

/** Names within a circle or around it, each as near to its member as those before it let it be: they give way up and
 *  down, but not onto the circle. */
export function placeLabels(labels: Label[], radius: number, side: 'within' | 'around'): Map<string, PlacedLabel> {
  const kLetter = 9.5; // wide, at most, of the names' font
  const kLine = 22;
  const kTries = 5; // after the last one names lie over each other
  const placed = new Map<string, PlacedLabel>();
  const taken: { left: number; right: number; y: number }[] = [];
  for (const { id, text, turn } of labels) {
    const isMiddle = turn < 0.06 || turn > 0.94 || (turn > 0.44 && turn < 0.56);
    const anchor = isMiddle ? 'middle' : turn < 0.5 === (side === 'around') ? 'start' : 'end';
    const width = text.length * kLetter;
    const tryAt = (n: number) => {
      const at = point(turn, radius);
      const away = Math.sign(at.y - kCentre) * (side === 'around' ? 1 : -1);
      const lines = isMiddle ? n * away : (n % 2 === 1 ? -(n + 1) : n) / 2;
      return { x: at.x, y: at.y + lines * kLine };
    };
    const boxAt = ({ x, y }: { x: number; y: number }) => {
      const left = x - (anchor === 'start' ? 0 : anchor === 'end' ? width : width / 2);
      return { left, right: left + width, y };
    };
    const isFree = (box: ReturnType<typeof boxAt>) =>
      taken.every((other) => Math.abs(other.y - box.y) >= kLine - 1 || box.left >= other.right || box.right <= other.left);
    let n = 0;
    while (n < kTries && !isFree(boxAt(tryAt(n)))) ++n;
    const at = tryAt(n % kTries);
    taken.push(boxAt(at));
    placed.set(id, { ...at, anchor });
  }
  return placed;
}

/** A path of the sectors between two radii, around the origin. */
export function sectorPath(sectors: Sector[], inner: number, outer: number, gap = 0): string {
  const draw = arc<Sector>()
    .innerRadius(inner)
    .outerRadius(outer)
    .startAngle((sector) => sector.begin * kTurn + Math.min(gap / 2, ((sector.end - sector.begin) * kTurn) / 4))
    .endAngle((sector) => sector.end * kTurn - Math.min(gap / 2, ((sector.end - sector.begin) * kTurn) / 4))
    .digits(1);
  return sectors.map((sector) => draw(sector) ?? '').join('');
}

/** A curve from one place within the ring to another, bent towards the centre. */
export function linkPath(from: { x: number; y: number }, to: { x: number; y: number }): string {
  const bend = (a: number, b: number): number => kCentre + ((a + b) / 2 - kCentre) * 0.35;
  return `M${from.x.toFixed(1)},${from.y.toFixed(1)}Q${bend(from.x, to.x).toFixed(1)},${bend(from.y, to.y).toFixed(1)} ${to.x.toFixed(1)},${to.y.toFixed(1)}`;
}

/** A hue for the n-th member: far from those before it, and from the reds and ambers that mean trouble. */
export function hueOf(n: number): number {
  const kFirst = 0.62;
  const kGolden = 0.618034;
  return Math.round(140 + 205 * ((kFirst + n * kGolden) % 1));
}

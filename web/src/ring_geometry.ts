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
  rotate?: number; // degrees; for names that lie along a radius
  text: string;
}
/** A line of text, by its middle. */
export interface Line {
  left: number;
  right: number;
  y: number;
}

const kLetter = 9.5; // wide, at most, of the names' font
const kLine = 22;

/** Where the middle of the ring says what it is, its texts so many times as large. */
export function middleOf(zoom: number): Line[] {
  return [-34, -12, 10, 32, 48].map((y) => ({ left: kCentre - 80 * zoom, right: kCentre + 80 * zoom, y: kCentre + y * zoom }));
}

/** Names within a circle or around it, each as near to its member as those before it let it be: they give way up and
 *  down, but not onto the circle; what finds no place is left out. `zoom`: of the names' font. */
export function placeLabels(labels: Label[], radius: number, side: 'within' | 'around', zoom = 1, middle: Line[] = []): Map<string, PlacedLabel> {
  const kTries = 9;
  const line = kLine * zoom;
  const placed = new Map<string, PlacedLabel>();
  const taken = [...middle];
  for (const { id, text, turn } of labels) {
    const isMiddle = turn < 0.06 || turn > 0.94 || (turn > 0.44 && turn < 0.56);
    const anchor = isMiddle ? 'middle' : turn < 0.5 === (side === 'around') ? 'start' : 'end';
    const width = text.length * kLetter * zoom;
    const tryAt = (n: number) => {
      const at = point(turn, radius);
      const away = Math.sign(at.y - kCentre) * (side === 'around' ? 1 : -1);
      const lines = isMiddle ? n * away : (n % 2 === 1 ? -(n + 1) : n) / 2;
      return { x: at.x, y: at.y + lines * line };
    };
    const boxAt = ({ x, y }: { x: number; y: number }) => {
      const left = x - (anchor === 'start' ? 0 : anchor === 'end' ? width : width / 2);
      return { left, right: left + width, y };
    };
    const isFree = (box: Line) =>
      taken.every((other) => Math.abs(other.y - box.y) >= line - 1 || box.left >= other.right || box.right <= other.left);
    let n = 0;
    while (n < kTries && !isFree(boxAt(tryAt(n)))) ++n;
    if (n === kTries) continue;
    const at = tryAt(n);
    taken.push(boxAt(at));
    placed.set(id, { ...at, anchor, text });
  }
  return placed;
}

/** Names along the radii, from `radius` inwards: of members that are too near to one before them there are none, and what
 *  would reach where they meet is cut off. */
export function placeAlongRadii(labels: Label[], radius: number): Map<string, PlacedLabel> {
  const kHigh = 14; // of the names' font, with some air
  const kWide = 7.4;
  const kInner = 92; // what the middle of the ring takes
  const gap = kHigh / (radius * kTurn); // turns
  const inner = Math.max(kInner, (kHigh * labels.length) / kTurn - 12);
  const letters = Math.floor((radius - inner) / kWide);
  const placed = new Map<string, PlacedLabel>();
  const turns: number[] = [];
  for (const { id, text, turn } of labels) {
    const isNear = (other: number) => Math.min(Math.abs(turn - other), 1 - Math.abs(turn - other)) < gap;
    if (turns.some(isNear)) continue;
    turns.push(turn);
    const isRight = turn < 0.5;
    placed.set(id, {
      ...point(turn, radius),
      anchor: isRight ? 'end' : 'start',
      rotate: turn * 360 + (isRight ? -90 : 90),
      text: text.length > letters ? `${text.slice(0, letters - 1)}…` : text,
    });
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

import type { Api } from './api';
import { poll, run } from './command';
import type { ChordFinger, ChordFound, ChordGraph, ChordInfo, ChordPlace } from './types';

/** What a node knows of the Chord overlay. */
export interface ChordView {
  info: ChordInfo;
  successors: ChordPlace[];
  fingers: ChordFinger[];
}

const kWalkPatience = 5000; // a silent node costs a walk around the ring a second

const askChord = <T>(api: Api, node: string, what: string, patience?: number) =>
  poll<T>(api, node, { name: 'chord', args: [what] }, patience);

export async function readChord(api: Api, node: string): Promise<ChordView> {
  const info = await askChord<ChordInfo>(api, node, 'info');
  if (!info.member) return { info, successors: [], fingers: [] };
  const [successors, fingers] = await Promise.all([
    askChord<ChordPlace[]>(api, node, 'successors'),
    askChord<ChordFinger[]>(api, node, 'fingers'),
  ]);
  return { info, successors, fingers };
}

export const readChordRing = (api: Api, node: string) => askChord<ChordGraph>(api, node, 'graph', kWalkPatience);
export const findByChord = (api: Api, node: string, key: string) =>
  run<ChordFound>(api, node, { name: 'chord', args: ['lookup', key], trace: true });

/** Where an identifier of so many bits, in hexadecimal, lies on the circle: a fraction of a turn. */
export function fractionOf(identifier: string, bits: number): number {
  const digits = identifier.slice(0, 12); // 48 bits are more than a picture shows
  const surplus = 4 * identifier.length - bits; // the first digit may stand for fewer than four bits
  return (Number.parseInt(digits, 16) / 16 ** digits.length) * 2 ** surplus;
}

/** The way of a lookup, from the node that asked. */
export function wayOf(from: string, found: ChordFound): string[] {
  const way = found.path.map((hop) => hop.id);
  return way[0] === from ? way : [from, ...way];
}

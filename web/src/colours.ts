import { hueOf } from './ring_geometry';
import { store } from './store';
import type { MemberState } from './types';

/** Well: the member's own colour. Else that of its state. */
export function colourOf(id: string, state: MemberState): string {
  if (state === 'suspect' || state === 'unreachable' || state === 'stopped' || state === 'left')
    return `var(--${state})`;
  return `oklch(var(--arc-light) var(--arc-chroma) ${hueOf(store.placeOf(id))})`;
}

/** Said by a sign too, not by the colour alone. */
export const kSigns: Record<MemberState, string> = {
  unknown: '·',
  alive: '✓',
  suspect: '?',
  unreachable: '✕',
  stopped: '–',
  left: '←',
};

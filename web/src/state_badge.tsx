import { kSigns } from './colours';
import type { MemberState } from './types';

export function StateBadge({ state }: { state: MemberState }) {
  return (
    <span class={`state ${state}`}>
      <span aria-hidden="true">{kSigns[state]}</span> {state}
    </span>
  );
}

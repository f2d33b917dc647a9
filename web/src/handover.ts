import type { KvStatus } from './kv';

/** Whether a member has keys to give or to get. */
export const isMoving = (status: KvStatus) => status.leaving || status.handing_over || status.left > 0 || !status.settled;

/** What a member has to do yet, for a person; empty: nothing. */
export function handoverText(status: KvStatus): string {
  if (status.fault) return `its disk failed: ${status.fault}`;
  const parts: string[] = [];
  if (status.left > 0) parts.push(`${status.left.toLocaleString('en')} ${status.left === 1 ? 'key' : 'keys'} to hand over`);
  else if (status.handing_over) parts.push('looks for keys to hand over');
  else if (status.leaving) parts.push('has handed all over');
  if (!status.settled && !status.leaving)
    parts.push(status.to_compare > 0 ? `gets keys, to be compared with ${status.to_compare}` : 'gets keys');
  return parts.join(', ');
}

/** The most keys that each member had to hand over since it began, from the last look and this one. */
export function mostLeft(last: Map<string, number>, now: Map<string, KvStatus>): Map<string, number> {
  const moving = [...now].filter(([, status]) => status.left > 0 || status.leaving);
  return new Map(moving.map(([id, status]) => [id, Math.max(status.left, last.get(id) ?? 0)]));
}

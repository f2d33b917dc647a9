import { byName } from './format';
import type { Happened, Member, MemberState } from './types';

export interface Segment {
  state: MemberState;
  begin: number; // milliseconds, the node's clock
  end: number;
}

/** The states of each member between `from` and `to`, by what was told of it; by id. `events` in their order. */
export function timelines(events: Happened[], members: Member[], from: number, to: number): Map<string, Segment[]> {
  const told = new Map<string, Happened[]>();
  for (const event of events) {
    if (event.id === undefined || event.state === undefined || event.was === undefined) continue;
    const list = told.get(event.id) ?? [];
    list.push(event);
    told.set(event.id, list);
  }
  const rows = new Map<string, Segment[]>();
  const ids = new Set([...members.map((member) => member.id), ...told.keys()]);
  for (const id of [...ids].sort(byName)) {
    const changes = told.get(id) ?? [];
    const first = changes[0];
    const member = members.find((each) => each.id === id);
    const segments: Segment[] = [];
    let state = first?.was ?? member?.state ?? 'unknown';
    // Without an event its state is known only for as long as the node says.
    let begin = first ? from : Math.max(from, to - (member?.for_ms ?? 0));
    for (const change of changes) {
      const at = Math.min(Math.max(change.time_ms, from), to);
      if (at > begin) segments.push({ state, begin, end: at });
      state = change.state!;
      begin = at;
    }
    if (to > begin) segments.push({ state, begin, end: to });
    rows.set(id, segments);
  }
  return rows;
}

/** Whether a member was ever anything but well. */
export function hadTrouble(segments: Segment[]): boolean {
  return segments.some(({ state }) => state === 'suspect' || state === 'unreachable' || state === 'stopped');
}

/** What is to be said where nobody had trouble: of a member whose state is not known nothing is claimed. */
export function calmText(rows: Segment[][]): string {
  const unknown = rows.filter((segments) => segments.length === 0 || segments.at(-1)!.state === 'unknown').length;
  if (unknown === 0) return `All ${rows.length} members were well.`;
  return `Nothing bad was heard of the members; ${unknown} of ${rows.length} have not been heard of yet.`;
}

// What the node answers (openapi.json).

export type MemberState = 'unknown' | 'alive' | 'suspect' | 'unreachable' | 'stopped' | 'left';

export interface Place {
  id: string;
  host: string;
  port: number;
  zone?: string;
}

export interface RingMember extends Place {
  weight: number;
  share: number;
}

export interface Ring {
  ring: string | null;
  state: string;
  rfactor: number;
  pfactor: number;
  members: RingMember[];
  max_over_mean: number;
}

export interface Arcs {
  ring: string | null;
  state: string;
  points: number;
  parts: number;
  members: string[];
  arcs: [begin: number, member: number][];
}

export interface KeyPlace {
  key: string;
  position: number;
  replicas: Place[];
}

export interface Member extends Place {
  state: MemberState;
  incarnation: number;
  boot: number;
  by: string | null;
  for_ms: number;
}

export interface Link extends Place {
  role: 'node' | 'client';
  keep: 'standing' | 'on_demand';
  connected: boolean;
  protection: string | null;
  queued_messages: number;
  queued_bytes: number;
  dials_failed: number;
  last_error: string | null;
  messages_in: number;
  messages_out: number;
  bytes_in: number;
  bytes_out: number;
}

export interface Status extends Place {
  ring: string | null;
  converged: boolean;
  partition_policy: string;
  has_quorum: boolean;
  members: { id: string; state: string; link: string }[];
  clients: number;
}

export interface Field {
  name: string;
  type: string;
  optional?: boolean;
  fields?: Field[];
}

export interface ServerEvent {
  event: string;
  replies: boolean;
  fields: Field[];
}

export interface Actor {
  name: string;
  type: string;
  serial: number;
  waiting: number;
  events?: ServerEvent[];
}

/** Something that happened to the ring or its members. */
export interface Happened {
  seq: number;
  time_ms: number;
  event: string;
  id?: string;
  state?: MemberState;
  was?: MemberState;
  members?: string[];
  left_out?: number; // changes of this member before, which were too many to be told
  [more: string]: unknown;
}

/** A node of the Chord overlay and its place there, in hexadecimal. */
export interface ChordPlace extends Place {
  identifier: string;
}

export interface ChordInfo extends ChordPlace {
  member: boolean;
  bits: number;
  hash: string;
  predecessor: string | null;
  successor: string | null;
  counters: Record<string, number>;
}

export interface ChordFinger extends ChordPlace {
  finger: string; // "3", or "4-17" for those that are the same node
  start: string;
}

export interface ChordGraph {
  complete: boolean;
  nodes: ChordPlace[];
}

export interface ChordFound {
  key: string;
  identifier: string;
  owner: ChordPlace;
  hops: number;
  timeouts: number;
  path: { hop: number; id: string; identifier: string }[];
}

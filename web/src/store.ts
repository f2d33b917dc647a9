import { useEffect, useReducer } from 'preact/hooks';
import { Api, ApiError, path } from './api';
import { findByChord } from './chord';
import { kPatienceHere } from './command';
import { byName } from './format';
import { isMoving, mostLeft } from './handover';
import { type KvStatus, pollKvStatus } from './kv';
import { type Family, Rate, parseMetrics, total } from './metrics';
import { readEvents } from './sse';
import type { Arcs, ChordFound, Happened, KeyPlace, Link, Member, MemberState, Ring, RingMember, Status } from './types';

const kPeriod = 2000; // between two looks at members, links and metrics
const kStatusPeriod = 5000; // between two questions to all members
export const kAskAllMax = 64; // members that are asked without being told to: more are not all connected
const kMovingPeriod = 500; // between two questions to members that have keys to move,
const kMovingFew = 10; // if they are no more than so many
const kAskedAtOnce = 2; // of those; what else waits for its turn has it next
const kEventsKept = 2000;
const kRetryMin = 500;
const kRetryMax = 8000;

export type Connection = 'connecting' | 'live' | 'lost';

export interface LinkRates {
  in: Rate;
  out: Rate;
  queue: number[];
}

/** A counter of the metrics and the name under which its rate is drawn. */
export const kRates = {
  messages_in: 'cluster_network_messages_in_total',
  messages_out: 'cluster_network_messages_out_total',
  bytes_in: 'cluster_network_bytes_in_total',
  bytes_out: 'cluster_network_bytes_out_total',
  probes: 'cluster_detector_probes_total',
  probes_failed: 'cluster_detector_probes_failed_total',
  digests_equal: 'cluster_gossip_digests_equal_total',
  digests_different: 'cluster_gossip_digests_different_total',
  updates: 'cluster_gossip_updates_received_total',
  http: 'cluster_http_responses_total',
  cpu: 'process_cpu_seconds_total',
} as const;
export const kGauges = {
  queued: 'cluster_network_queued_bytes',
  waiting: 'cluster_inbound_waiting_bytes',
  memory: 'process_resident_memory_bytes',
} as const;
export type Series = keyof typeof kRates | keyof typeof kGauges;

/** Everything that the page shows, kept up to date from the node as long as somebody looks. */
export class Store {
  readonly api = new Api();
  connection: Connection = 'connecting';
  needsToken = this.api.token === '';
  tokenWasWrong = false;
  self = '';
  ring?: Ring;
  arcs?: Arcs;
  members: Member[] = [];
  membersAt = 0;
  links: Link[] = [];
  readonly linkRates = new Map<string, LinkRates>();
  status?: Status;
  statusAt = 0;
  stores = new Map<string, KvStatus>(); // what the members that keep keys say of them
  mostLeft = new Map<string, number>(); // keys that each had to hand over when it began
  events: Happened[] = [];
  metrics: Family[] = [];
  readonly series = new Map<Series, Rate>();
  offers = new Set<string>(); // the paths of openapi.json
  selected = '';
  place?: KeyPlace;
  placeError = '';
  chordNode = ''; // who is asked for Chord's way to the key; empty: this node
  chordFound?: ChordFound;
  chordError = '';

  private readonly listeners = new Set<() => void>();
  private readonly places = new Map<string, number>(); // members in the order of their appearance: their colours
  private timer = 0;
  private stream?: AbortController;
  private queued = false;
  private running = false;
  private storesAt = 0;
  private storesTimer = 0;
  private readingStores = false;
  private askAllStores = false;

  /** Tells all who `useStore`, once for all that changes in one turn. */
  changed(): void {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      for (const listener of this.listeners) listener();
    });
  }
  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    document.addEventListener('visibilitychange', () => (document.hidden ? this.pause() : this.resume()));
    this.resume();
  }
  private resume(): void {
    if (this.running || this.needsToken) return;
    this.running = true;
    void this.tick();
    void this.follow();
    if (this.offers.size === 0) void this.learnOffers();
  }
  private pause(): void {
    this.running = false;
    clearTimeout(this.timer);
    clearTimeout(this.storesTimer);
    this.stream?.abort();
  }

  useToken(token: string): void {
    this.api.token = token.trim();
    this.needsToken = false;
    this.connection = 'connecting';
    this.resume();
    this.changed();
  }
  forgetToken(): void {
    this.api.token = '';
    this.pause();
    this.needsToken = true;
    this.tokenWasWrong = false;
    this.changed();
  }
  private refused(): void {
    if (this.needsToken) return; // another request was refused too
    this.tokenWasWrong = this.api.token !== '';
    this.api.token = '';
    this.pause();
    this.needsToken = true;
    this.changed();
  }

  private async tick(): Promise<void> {
    clearTimeout(this.timer);
    try {
      await Promise.all([this.readRing(), this.readMembers(), this.readLinks(), this.readMetrics()]);
      this.connection = 'live';
      if (Date.now() - this.statusAt > kStatusPeriod && this.members.length <= kAskAllMax) void this.readStatus(false);
      void this.readStores();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return this.refused();
      this.connection = 'lost';
    }
    this.changed();
    if (this.running) this.timer = window.setTimeout(() => void this.tick(), kPeriod);
  }

  private async readRing(): Promise<void> {
    const ring = await this.api.get<Ring>('/v1/ring');
    ring.members.sort((a, b) => byName(a.id, b.id));
    for (const member of ring.members) this.placeOf(member.id);
    const isNew = ring.state !== this.ring?.state || ring.ring !== this.ring.ring;
    this.ring = ring;
    if (!isNew && this.arcs) return;
    this.arcs = await this.api.get<Arcs>('/v1/ring/arcs');
    if (this.place) void this.findKey(this.place.key);
    this.statusAt = 0;
    this.storesAt = 0;
  }
  private async readMembers(): Promise<void> {
    this.members = await this.api.get<Member[]>('/v1/members');
    this.membersAt = Date.now();
  }
  private async readLinks(): Promise<void> {
    this.links = await this.api.get<Link[]>('/v1/links');
    const now = performance.now();
    for (const link of this.links) {
      let rates = this.linkRates.get(link.id);
      if (!rates) this.linkRates.set(link.id, (rates = { in: new Rate(45), out: new Rate(45), queue: [] }));
      rates.in.read(link.bytes_in, now);
      rates.out.read(link.bytes_out, now);
      rates.queue.push(link.queued_bytes);
      if (rates.queue.length > 45) rates.queue.shift();
    }
  }
  private async readMetrics(): Promise<void> {
    this.metrics = parseMetrics(await this.api.text('/metrics'));
    const now = performance.now();
    for (const [name, family] of Object.entries(kRates)) {
      const value = total(this.metrics, family);
      if (value !== undefined) this.rate(name as Series).read(value, now);
    }
    for (const [name, family] of Object.entries(kGauges)) {
      const value = total(this.metrics, family);
      if (value !== undefined) this.rate(name as Series).push(value);
    }
    const info = this.metrics.find((family) => family.name === 'cluster_node_info')?.samples[0];
    if (info) this.self = info.labels['id'] ?? '';
  }
  rate(name: Series): Rate {
    let found = this.series.get(name);
    if (!found) this.series.set(name, (found = new Rate()));
    return found;
  }
  /** Asks all members for the state of their ring; at once if a person wants it. */
  async readStatus(isWanted = true): Promise<void> {
    this.statusAt = Date.now();
    const read = () => this.api.get<Status>('/v1/status', AbortSignal.timeout(kPatienceHere));
    try {
      this.status = await (isWanted ? read() : this.api.background.run('status', read));
    } catch {
      this.status = undefined;
    }
    this.changed();
  }
  /** Asks the members how far they are with keys that move: all now and then, of many only this one unless `all` shall be;
   *  those that have keys to move, and those that leave, again and again. */
  async readStores(all = false): Promise<void> {
    const keepsKeys = this.metrics.some((family) => family.name === 'cluster_kv_handing_over');
    this.askAllStores ||= all;
    if (!keepsKeys || this.readingStores || !this.running) return;
    all = this.askAllStores;
    this.askAllStores = false;
    const members = this.ring?.members ?? [];
    const isDue = all || Date.now() - this.storesAt > kStatusPeriod;
    if (isDue) this.storesAt = Date.now();
    const isBusy = (member: RingMember) => {
      const last = this.stores.get(member.id);
      return isLeaving(member) || (last !== undefined && isMoving(last));
    };
    const isAsked = (member: RingMember) =>
      isBusy(member) || (isDue && (all || members.length <= kAskAllMax || member.id === this.self));
    const asked = members.filter((member) => isAsked(member) && this.stateOf(member.id) === 'alive').map((member) => member.id);
    const stay = new Set(members.filter((member) => !isAsked(member)).map((member) => member.id));
    const found = new Map([...this.stores].filter(([id]) => stay.has(id)));
    const period = kMovingPeriod * Math.max(1, asked.length / kMovingFew);
    const ask = async () => {
      for (let id = asked.pop(); id !== undefined; id = asked.pop())
        try {
          found.set(id, await pollKvStatus(this.api, id === this.self ? '' : id));
        } catch {
          // it keeps no keys, or does not answer
        }
    };
    this.readingStores = true;
    await Promise.all(Array.from({ length: kAskedAtOnce }, ask));
    this.readingStores = false;
    this.stores = found;
    this.mostLeft = mostLeft(this.mostLeft, found);
    clearTimeout(this.storesTimer);
    const next = this.askAllStores ? 0 : period; // it was asked for meanwhile
    if (next === 0 || this.ring?.members.some(isBusy)) this.storesTimer = window.setTimeout(() => void this.readStores(), next);
    this.changed();
  }
  private async learnOffers(): Promise<void> {
    try {
      const document = (await (await this.api.send('/v1/openapi.json')).json()) as { paths: Record<string, unknown> };
      this.offers = new Set(Object.keys(document.paths));
      this.changed();
    } catch {
      window.setTimeout(() => void this.learnOffers(), kRetryMax);
    }
  }

  /** Follows the node's events, again and again. */
  private async follow(): Promise<void> {
    let wait = kRetryMin;
    while (this.running) {
      const stream = new AbortController();
      this.stream = stream;
      try {
        const headers: Record<string, string> = { Accept: 'text/event-stream' };
        const last = this.events[this.events.length - 1];
        if (last) headers['Last-Event-ID'] = String(last.seq);
        const response = await this.api.send('/v1/events', { headers, signal: stream.signal });
        if (response.status === 401) return this.refused();
        if (!response.ok || !response.body) throw new ApiError(response.status, 'no_stream', 'no event stream');
        wait = kRetryMin;
        await readEvents(response, (texts) => this.take(texts.map((text) => JSON.parse(text) as Happened)));
      } catch {
        if (stream.signal.aborted) return;
      }
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(2 * wait, kRetryMax);
    }
  }
  private take(events: Happened[]): void {
    const first = events[0];
    if (!first) return;
    const last = this.events[this.events.length - 1];
    if (last && first.seq <= last.seq) this.events = []; // another process of the node: it counts anew
    this.events = [...this.events, ...events].slice(-kEventsKept);
    for (const event of events) this.apply(event);
    if (this.running) {
      clearTimeout(this.timer); // what happened is looked at now
      this.timer = window.setTimeout(() => void this.tick(), 50);
    }
    this.changed();
  }
  /** A member's state is known from the event, before the members are read again. */
  private apply(event: Happened): void {
    if (event.id === undefined || event.state === undefined) return;
    this.members = this.members.map((member) =>
      member.id === event.id ? { ...member, state: event.state!, for_ms: 0 } : member,
    );
  }

  key = ''; // whose place is shown
  /** Who asks for Chord's way to the key. */
  get chordFrom(): string {
    return this.chordNode || this.self;
  }
  askChordOf(node: string): void {
    this.chordNode = node === this.self ? '' : node;
    void this.findByChord();
    this.changed();
  }
  private async findByChord(): Promise<void> {
    const { key, chordNode: node } = this;
    let found: ChordFound | undefined;
    let problem = '';
    if (key !== '')
      try {
        found = await findByChord(this.api, node, key);
      } catch (error) {
        const isOff = error instanceof ApiError && error.code === 'no_server';
        if (!isOff) problem = (error as Error).message;
      }
    if (key !== this.key || node !== this.chordNode) return; // another was typed meanwhile
    this.chordFound = found;
    this.chordError = problem;
    this.changed();
  }
  async findKey(key: string): Promise<void> {
    this.key = key;
    this.placeError = '';
    this.changed();
    void this.findByChord();
    let place: KeyPlace | undefined;
    let problem = '';
    if (key !== '')
      try {
        place = await this.api.get<KeyPlace>(path('v1', 'ring', 'keys', key));
      } catch (error) {
        problem = (error as Error).message;
      }
    if (key !== this.key) return; // another was typed meanwhile
    this.place = place;
    this.placeError = problem;
    this.changed();
  }

  select(id: string): void {
    this.selected = this.selected === id ? '' : id;
    this.changed();
  }
  /** The number of a member for its colour: the same as long as the page is open. */
  placeOf(id: string): number {
    let place = this.places.get(id);
    if (place === undefined) this.places.set(id, (place = this.places.size));
    return place;
  }
  stateOf(id: string): MemberState {
    return this.members.find((member) => member.id === id)?.state ?? 'unknown';
  }
  /** The node's clock, in milliseconds since 1970. */
  now(): number {
    return Date.now() + this.api.clockAhead;
  }
}

/** The ring gives it no keys any more. */
export const isLeaving = (member: RingMember) => member.weight === 0;

export const store = new Store();

/** Draws a component anew when the store changes. */
export function useStore(): Store {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.listen(() => redraw(undefined as never)), []);
  return store;
}

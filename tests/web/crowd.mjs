// A ring of many members of which one node runs: its ring, its places of keys and its page are real, what the others would
// answer is told to the page here.
import { createHash } from 'node:crypto';

const kBits = 160;
const place = (text) => BigInt(`0x${createHash('sha1').update(text).digest('hex')}`);
const hex = (number) => number.toString(16).padStart(kBits / 4, '0');
const answer = (data) => ({ contentType: 'application/json', body: JSON.stringify({ ok: true, data }) });

const member = (id, more) => ({ id, host: 'localhost', port: 7022, ...more });

/** Chord's ring of these names, as by its definition. */
class ChordRing {
  constructor(names, listed) {
    this.listed = listed;
    this.ring = names.map((id) => ({ id, at: place(id) })).sort((a, b) => (a.at < b.at ? -1 : 1));
  }
  shown = ({ id, at }) => ({ id, identifier: hex(at), host: 'localhost', port: 7022 });
  after = (at) => this.ring.find((node) => node.at >= at) ?? this.ring[0];
  fingersOf(node) {
    const rows = [];
    for (let i = 0; i < kBits; ++i) {
      const start = (node.at + (1n << BigInt(i))) % (1n << BigInt(kBits));
      const { id, at } = this.after(start);
      if (rows.at(-1)?.id === id) rows.at(-1).last = i + 1;
      else rows.push({ ...this.shown({ id, at }), start: hex(start), first: i + 1, last: i + 1 });
    }
    return rows.map(({ first, last, ...row }) => ({ finger: first === last ? `${first}` : `${first}-${last}`, ...row }));
  }
  /** By fingers alone. */
  lookup(from, key) {
    const size = 1n << BigInt(kBits);
    const owner = this.after(place(key));
    const path = [];
    for (let node = from; node !== owner; ) {
      const way = (place(key) - node.at + size) % size;
      const ahead = this.fingersOf(node).map(({ id }) => this.ring.find((each) => each.id === id));
      node = ahead.findLast(({ at }) => (at - node.at + size) % size < way) ?? owner;
      path.push({ hop: path.length + 1, id: node.id, identifier: hex(node.at) });
    }
    return { key, identifier: hex(place(key)), owner: this.shown(owner), hops: Math.max(0, path.length - 1), timeouts: 0, path };
  }
  run(id, [what, key]) {
    const at = this.ring.findIndex((node) => node.id === id);
    const next = Array.from({ length: this.listed }, (_, i) => this.ring[(at + 1 + i) % this.ring.length]);
    const before = this.ring.at(at - 1);
    if (what === 'successors') return next.map((node, i) => ({ n: i + 1, ...this.shown(node) }));
    if (what === 'fingers') return this.fingersOf(this.ring[at]);
    if (what === 'graph') return { complete: true, nodes: this.ring.map(this.shown) };
    if (what === 'lookup') return this.lookup(this.ring[at], key);
    return { ...this.shown(this.ring[at]), member: true, bits: kBits, hash: 'sha1', predecessor: before.id, successor: next[0].id, counters: {} };
  }
}

export class Crowd {
  /** `node` runs, and takes up `names`. */
  constructor(cluster, node, names) {
    this.names = [node.name, ...names];
    this.self = node.name;
    cluster.cli(node, 'minsert', ...names.flatMap((name) => [name, '127.0.0.1', 9]));
    this.states = new Map(this.names.map((name) => [name, 'alive'])); // as they are since a minute
    this.moving = new Map(); // keys that members have to hand over
    this.chord = new ChordRing(this.names, 8);
  }

  /** Tells `page` that those who do not run are there. */
  speakOfMembers(page) {
    return page.route('**/v1/members', (route) =>
      route.fulfill(answer(this.names.map((id) => member(id, { state: this.states.get(id), incarnation: 0, boot: 1, by: null, for_ms: 3_600_000 })))));
  }

  /** Answers `page` for those who do not run. */
  async speak(page) {
    await this.speakOfMembers(page);
    const others = this.names.filter((id) => id !== this.self);
    const linked = others.length <= 64 ? others : others.filter((_, i) => i % Math.ceil(others.length / 20) === 0);
    let turn = 0;
    await page.route('**/v1/links', (route) => {
      ++turn;
      return route.fulfill(answer(linked.map((id, i) => {
        const up = this.states.get(id) === 'alive';
        const traffic = { messages_in: 10 * turn, messages_out: 10 * turn, bytes_in: 100 * turn * (i % 9), bytes_out: 250 * turn * (i % 7) };
        return member(id, { role: 'node', keep: 'standing', connected: up, protection: up ? 'seal' : null, queued_messages: 0, queued_bytes: 0,
          dials_failed: up ? 0 : 3, last_error: up ? null : 'Connection refused', ...traffic });
      })));
    });
    await page.route('**/v1/status', (route) => {
      const members = this.names.map((id) => ({ id, state: this.states.get(id) === 'alive' ? 'same' : 'unreachable', link: 'connected' }));
      return route.fulfill(answer(member(this.self, { ring: 'ring', converged: true, partition_policy: 'mark', has_quorum: true, members, clients: 1 })));
    });
    await page.route('**/v1/events', (route) => {
      if (route.request().headers()['last-event-id']) return; // nothing more happens
      const ill = [...this.states].filter(([, state]) => state !== 'alive');
      const told = [...this.names.map((id) => [id, 'unknown', 'alive', 600_000]), ...ill.map(([id, state]) => [id, 'alive', state, 60_000])];
      const events = told.map(([id, was, state, ago], i) => ({ seq: i + 1, time_ms: Date.now() - ago, event: 'node', id, was, state }));
      const rows = events.map((event) => `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`);
      return route.fulfill({ contentType: 'text/event-stream', body: rows.join('') });
    });
    await page.route(/\/v1\/call\/command(@|%40|\/)/, (route) => {
      const { name, args } = JSON.parse(route.request().postData());
      const found = /command(?:@|%40)([^/]+)/.exec(route.request().url());
      const id = found ? decodeURIComponent(found[1]) : this.self;
      const left = this.moving.get(id) ?? 0;
      if (name === 'chord') return route.fulfill(answer({ ok: true, data: this.chord.run(id, args) }));
      if (name !== 'kv') return route.continue();
      const status = { settled: true, to_compare: 0, handing_over: left > 0, handed_over: 0.5, left, leaving: false, hints: 0, durable: true };
      return route.fulfill(answer({ ok: true, data: status }));
    });
    const keys = Array.from({ length: 200 }, (_, i) => `orders/2026/${10_000 + 37 * i}`);
    await page.route('**/v1/kv/default?*', (route) => route.fulfill(answer({ keys, next: 'orders/2027' })));
    await page.route('**/v1/watch/**', () => {});
    await page.route('**/v1/files?*', (route) => route.fulfill(answer({ files: [], next: null, silent: [] })));
  }
}

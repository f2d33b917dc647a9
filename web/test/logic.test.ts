import assert from 'node:assert/strict';
import { test } from 'node:test';
import { path } from '../src/api';
import { Background } from '../src/background';
import { fractionOf, wayOf } from '../src/chord';
import { byName, bytes, count, duration, percent, plainName } from '../src/format';
import { controlOf, messageText, spanOf } from '../src/forms';
import { handoverText, isMoving, mostLeft } from '../src/handover';
import type { KvStatus } from '../src/kv';
import { Rate, parseMetrics, total } from '../src/metrics';
import { hueOf, middleOf, placeAlongRadii, placeLabels, sectorsByMember, shareSectors } from '../src/ring_geometry';
import { SseParser } from '../src/sse';
import { calmText, hadTrouble, timelines } from '../src/timeline';
import type { Arcs, Happened, Member } from '../src/types';

test('events come out of a stream whole, however it is cut', () => {
  const text = ':\n\nid: 1\ndata: {"seq":1}\n\nid: 2\r\ndata: a\r\ndata: b\r\n\r\ndata: unfinished\n';
  for (let size = 1; size <= text.length; ++size) {
    const parser = new SseParser();
    const found: string[] = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(found, ['{"seq":1}', 'a\nb']);
  }
});

test('a span is a number and a unit', () => {
  const spans = { '500ms': 500, '10': 10_000, ' 10 s ': 10_000, '5m': 300_000, '2h': 7_200_000, '7d': 604_800_000 };
  for (const [text, span] of Object.entries(spans)) assert.equal(spanOf(text), span, text);
  for (const text of ['', '0', '0s', '-1s', '1.5s', 's', '10y', '1e3', '9'.repeat(20)]) assert.equal(spanOf(text), undefined, text);
});

test('the sectors of a picture cover the ring once', () => {
  const picture: Arcs = { ring: 'r', state: '', points: 9, parts: 8, members: ['a', 'b'], arcs: [[0, 1], [3, 0], [4, 1]] };
  assert.deepEqual(Object.fromEntries(sectorsByMember(picture)), {
    a: [{ begin: 3 / 8, end: 4 / 8 }],
    b: [{ begin: 0, end: 3 / 8 }, { begin: 4 / 8, end: 1 }],
  });
});

test('shares lie side by side and fill the ring', () => {
  const member = (id: string, share: number) => ({ id, share, host: 'h', port: 1, weight: 1 });
  const sectors = [...shareSectors([member('a', 0.25), member('b', 0.25)]).values()];
  assert.deepEqual(sectors, [{ begin: 0, end: 0.5 }, { begin: 0.5, end: 1 }]);
  assert.deepEqual([...shareSectors([member('a', 0)]).values()], [{ begin: 0, end: 1 }]);
});

test('names of neighbours lie beside each other, not over each other', () => {
  const labels = [0.5, 0.505, 0.51, 0.02, 0.25, 0.255, 0.26, 0.75].map((turn, i) => ({ id: `n${i}`, text: `host-10${i}`, turn }));
  for (const side of ['within', 'around'] as const) {
    const boxes = [...placeLabels(labels, 206, side).values()].map(({ x, y, anchor }) => {
      const left = x - (anchor === 'start' ? 0 : anchor === 'end' ? 72 : 36);
      return { left, right: left + 72, y };
    });
    assert.equal(boxes.length, labels.length);
    for (const [i, a] of boxes.entries())
      for (const b of boxes.slice(0, i)) assert.ok(Math.abs(a.y - b.y) >= 18 || a.left >= b.right || b.left >= a.right, `${side} ${i}`);
  }
});

test('what finds no place beside the others is not named', () => {
  const labels = Array.from({ length: 40 }, (_, i) => ({ id: `n${i}`, text: 'host-100', turn: 0.25 }));
  const placed = placeLabels(labels, 206, 'within', 1, middleOf(1));
  assert.ok(placed.size > 4 && placed.size < 20);
  assert.equal(new Set([...placed.values()].map(({ y }) => y)).size, placed.size);
  assert.ok(placed.has('n0'), 'the first one has the first choice');
});

test('names along the radii turn with the ring, are cut before they meet, and make room for those before them', () => {
  const of = (count: number, text: string) => placeAlongRadii(Array.from({ length: count }, (_, i) => ({ id: `n${i}`, text, turn: (i + 0.5) / count })), 219);
  assert.equal(of(64, 'store-10').size, 64);
  assert.deepEqual([...new Set([...of(50, 'store-10').values()].map(({ text }) => text))], ['store-10']);
  const long = [...of(50, 'a-name-of-thirty-letters-or-so').values()].map(({ text }) => text.length);
  assert.ok(Math.max(...long) < 20);
  const angles = [...of(4, 'x').values()].map(({ rotate, anchor }) => [rotate, anchor]);
  assert.deepEqual(angles, [[-45, 'end'], [45, 'end'], [315, 'start'], [405, 'start']]);
  const near = placeAlongRadii([0.3, 0.301, 0.32].map((turn, i) => ({ id: `n${i}`, text: 'x', turn })), 219);
  assert.deepEqual([...near.keys()], ['n0', 'n2']);
});

test('names are in the order of their numbers', () => {
  assert.deepEqual(['n10', 'n2', 'm', 'n1'].sort(byName), ['m', 'n1', 'n2', 'n10']);
});

test('the first members have hues that differ, none of them that of trouble', () => {
  const hues = Array.from({ length: 8 }, (_, n) => hueOf(n));
  for (const hue of hues) assert.ok(hue >= 140 && hue < 345);
  for (const [i, a] of hues.entries()) for (const b of hues.slice(0, i)) assert.ok(Math.abs(a - b) >= 10, `${a} and ${b}`);
});

const member = (id: string, state: Member['state'], for_ms: number): Member =>
  ({ id, state, for_ms, host: 'h', port: 1, incarnation: 0, boot: 1, by: null });
const change = (seq: number, time_ms: number, id: string, was: Member['state'], state: Member['state']): Happened =>
  ({ seq, time_ms, event: 'node', id, was, state });

test('a timeline has the states in their order, without gaps', () => {
  const events = [change(1, 50, 'a', 'unknown', 'alive'), change(2, 300, 'a', 'alive', 'suspect'), change(3, 340, 'a', 'suspect', 'unreachable')];
  const rows = timelines(events, [member('a', 'unreachable', 60), member('b', 'alive', 250)], 100, 400);
  assert.deepEqual(rows.get('a'), [
    { state: 'alive', begin: 100, end: 300 },
    { state: 'suspect', begin: 300, end: 340 },
    { state: 'unreachable', begin: 340, end: 400 },
  ]);
  assert.deepEqual(rows.get('b'), [{ state: 'alive', begin: 150, end: 400 }]);
  assert.equal(hadTrouble(rows.get('a')!), true);
  assert.equal(hadTrouble(rows.get('b')!), false);
});

test('of members that have not been heard of nothing good is claimed', () => {
  const alive = [{ state: 'alive' as const, begin: 0, end: 1 }];
  const unknown = [{ state: 'unknown' as const, begin: 0, end: 1 }];
  assert.equal(calmText([alive, alive]), 'All 2 members were well.');
  assert.match(calmText([alive, unknown, []]), /2 of 3 have not been heard of/);
});

test('metrics are read with their labels, and sums are over all of them', () => {
  const families = parseMetrics('# HELP a_total What.\n# TYPE a_total counter\na_total{x="1",y="q\\"\\n"} 2\na_total{x="2"} 3.5\nb 1\n');
  assert.deepEqual(families[0]!.samples[0], { name: 'a_total', labels: { x: '1', y: 'q"\n' }, value: 2 });
  assert.equal(families[0]!.kind, 'counter');
  assert.equal(total(families, 'a_total'), 5.5);
  assert.equal(total(families, 'none'), undefined);
});

test('a rate is what was counted over the time, and none when the counter began anew', () => {
  const rate = new Rate(2);
  for (const [value, at] of [[100, 0], [150, 500], [150, 1000], [20, 2000], [30, 3000]] as const) rate.read(value, at);
  assert.deepEqual(rate.series, [0, 10]);
});

test('a message is written from what was typed, and long numbers keep their digits', () => {
  const fields = [
    { name: 'n', type: 'int64' },
    { name: 'text', type: 'string' },
    { name: 'flag', type: 'bool' },
    { name: 'blob', type: 'bytes' },
    { name: 'at', type: 'point', fields: [{ name: 'x', type: 'float64' }, { name: 'y', type: 'float64' }] },
    { name: 'list', type: '[string]' },
  ];
  assert.deepEqual(fields.map(controlOf), ['number', 'text', 'flag', 'bytes', 'struct', 'json']);
  const typed = { n: '9223372036854775807', text: 'a "b"', flag: 'true', blob: 'AAH/', 'at.y': '-1.5', list: '["x"]' };
  assert.equal(
    messageText(fields, typed),
    '{"n":9223372036854775807,"text":"a \\"b\\"","flag":true,"blob":{"$bytes":"AAH/"},"at":{"y":-1.5},"list":["x"]}',
  );
  assert.equal(messageText(fields, {}), '{}');
  assert.throws(() => messageText(fields, { n: '1x' }), /n is not a number/);
  assert.throws(() => messageText(fields, { list: '[' }), /list is not JSON/);
  assert.throws(() => messageText(fields, { blob: 'a' }), /blob is not base64/);
});

test('figures are short and have their units', () => {
  assert.deepEqual([0, 7, 999, 1000, 12_345, 999_600, 1.5e9].map(count), ['0', '7', '999', '1 k', '12.3 k', '1 M', '1.5 G']);
  assert.deepEqual([0, 1536].map(bytes), ['0 B', '1.54 kB']);
  assert.deepEqual([200, 5_000, 120_000, 7_200_000, 3e8].map(duration), ['just now', '5 s', '2 min', '2 h', '3 d']);
  assert.deepEqual([0.005, 0.3333].map(percent), ['0.50 %', '33.3 %']);
});

test('a path keeps what is in its segments apart', () => {
  assert.equal(path('v1', 'ring', 'keys', 'a/b?c#d'), '/v1/ring/keys/a%2Fb%3Fc%23d');
});

test("an identifier's place on Chord's circle is its fraction of 2^bits, whatever the length", () => {
  assert.equal(fractionOf('8000000000000000000000000000000000000000', 160), 0.5);
  assert.equal(fractionOf('c0', 8), 0.75);
  assert.equal(fractionOf('100', 10), 0.25); // ten bits in three digits
  assert.equal(fractionOf('00', 8), 0);
  assert.ok(fractionOf('ffffffffffffffffffffffffffffffffffffffff', 160) < 1);
});

test("the way of a lookup begins with who asked, once", () => {
  const place = (id: string) => ({ id, identifier: '', host: 'h', port: 1 });
  const found = (...ids: string[]) =>
    ({ key: 'k', identifier: '', owner: place(ids.at(-1)!), hops: 1, timeouts: 0, path: ids.map((id, i) => ({ ...place(id), hop: i + 1 })) });
  assert.deepEqual(wayOf('a', found('b', 'c')), ['a', 'b', 'c']);
  assert.deepEqual(wayOf('a', found('a')), ['a']);
});

test('a name shows what would be invisible in it', () => {
  assert.equal(plainName('a b/ü ✓'), 'a b/ü ✓');
  assert.equal(plainName('invoice\u202efdp.exe\u200b'), 'invoice\\u{202e}fdp.exe\\u{200b}');
});
test('a browser is not asked for what it would take for a step in a path', () => {
  assert.throws(() => path('v1', 'kv', 'default', '..'), /step in a path/);
});

test('what a member has to hand over is told in words, and measured against what it began with', () => {
  const calm: KvStatus = { settled: true, to_compare: 0, handing_over: false, handed_over: 1, left: 0, leaving: false, hints: 0, durable: true };
  assert.equal(handoverText(calm), '');
  assert.equal(isMoving(calm), false);
  assert.equal(handoverText({ ...calm, leaving: true, left: 1 }), '1 key to hand over');
  assert.equal(handoverText({ ...calm, leaving: true }), 'has handed all over');
  assert.equal(handoverText({ ...calm, settled: false, to_compare: 2, left: 1200 }), '1,200 keys to hand over, gets keys, to be compared with 2');
  let most = mostLeft(new Map(), new Map([['a', { ...calm, left: 80 }], ['b', calm]]));
  most = mostLeft(most, new Map([['a', { ...calm, left: 20 }], ['b', { ...calm, left: 5 }]]));
  assert.deepEqual([...most], [['a', 80], ['b', 5]]);
  assert.deepEqual([...mostLeft(most, new Map([['a', calm]]))], []);
});

test('what nobody waits for has its turn, the same is asked once, and who fails holds up nobody', async () => {
  const background = new Background();
  const begun: string[] = [];
  const ends = new Map<string, (fails: boolean) => void>();
  const ask = (question: string) =>
    background.run(question, () => {
      begun.push(question);
      return new Promise<string>((done, fail) => ends.set(question, (fails) => (fails ? fail(new Error(question)) : done(question))));
    });
  const turns = () => new Promise((done) => setTimeout(done));
  const [a, b, c] = [ask('a'), ask('b'), ask('c')];
  assert.equal(ask('a'), a);
  assert.equal(ask('c'), c);
  await turns();
  assert.deepEqual(begun, ['a', 'b']);
  ends.get('a')!(true);
  await assert.rejects(a, /a/);
  await turns();
  assert.deepEqual(begun, ['a', 'b', 'c']);
  const again = ask('a');
  assert.notEqual(again, a);
  await turns();
  assert.equal(begun.length, 3);
  ends.get('c')!(false);
  ends.get('b')!(false);
  assert.deepEqual(await Promise.all([b, c]), ['b', 'c']);
  await turns();
  ends.get('a')!(false);
  assert.equal(await again, 'a');
  assert.deepEqual(begun, ['a', 'b', 'c', 'a']);
});

// The Chord panel in a real browser, against real nodes. usage: chord_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { Cluster, waitUntil } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const cluster = new Cluster(programs);
const kBits = 16;
// One successor each, so that ways have hops; the last node runs no Chord.
const kChord = ['--chord', '--chord-bits', String(kBits), '--chord-successors', '1'];
let page, nodes, plain;

const place = (text) => createHash('sha1').update(text).digest().readUInt16BE();
/** The definition: the first node at or after a place, clockwise. */
function ownerOf(target) {
  const ring = nodes.map(({ name }) => name).sort((a, b) => place(a) - place(b));
  return ring.find((name) => place(name) >= target) ?? ring[0];
}
const fingerOf = (name, i) => ownerOf((place(name) + 2 ** i) % 2 ** kBits);
const isRight = ({ name, ...node }) => {
  const rows = cluster.cli(node, 'chord', 'fingers');
  return Array.from({ length: kBits }, (_, i) => i).every((i) => {
    const row = rows.find(({ finger }) => {
      const [first, last = first] = finger.split('-').map(Number);
      return first <= i + 1 && i + 1 <= last;
    });
    return (row?.id ?? name) === fingerOf(name, i);
  });
};
const text = (selector) => page.textContent(selector);

before(async () => {
  const first = await cluster.start('n0', ...kChord);
  const others = Promise.all([1, 2, 3, 4, 5, 6, 7].map((i) => cluster.start(`n${i}`, ...kChord)));
  [nodes, plain] = await Promise.all([others, cluster.start('plain'), browser.start()]);
  nodes.unshift(first);
  for (const node of nodes.slice(1)) cluster.cli(node, 'chord', 'join', `localhost:${first.port}`);
  await cluster.settled();
  for (const node of nodes) await waitUntil(() => isRight(node), `the fingers of ${node.name} are as by the definition`);
});
after(async () => {
  await browser.stop();
  await cluster.stop();
});

test('the finger table, the successor and the predecessor of a node are shown, on the circle too', async () => {
  page = await browser.open(`${nodes[0].url}/`);
  await browser.signIn(page, cluster.cli(nodes[0], 'token'));
  await page.click('#tab-Chord');
  for (const { name } of [nodes[0], nodes[3]]) {
    await page.selectOption('#chord-node', name);
    await page.waitForFunction((id) => document.querySelector('.fingers caption')?.textContent.includes(`${id} +`), name);
    const node = nodes.find((each) => each.name === name);
    const info = cluster.cli(node, 'chord', 'info');
    assert.equal(await text('#chord-predecessor'), info.predecessor);
    assert.equal(await text('#chord-successors'), info.successor);
    const rows = await page.locator('.fingers tbody tr').evaluateAll((all) => all.map(({ dataset }) => [dataset.finger, dataset.node]));
    assert.deepEqual(rows, cluster.cli(node, 'chord', 'fingers').map(({ finger, id }) => [finger, id]));
    await page.waitForFunction((count) => document.querySelectorAll('[data-chord-node]').length === count, nodes.length);
    const drawn = await page.locator('.chord-ring .finger').evaluateAll((all) => all.map(({ dataset }) => dataset.finger));
    assert.deepEqual(drawn, [...new Set(rows.map(([, id]) => id))]);
  }
});

test("a key's way lights up hop by hop, on the ring and on Chord's circle, as the command line tells it", async () => {
  const from = nodes[3];
  let longest = 0;
  for (const key of ['user-17', 'a/b ?#%', 'Ключ', ...Array.from({ length: 8 }, (_, i) => `key ${i}`)]) {
    await page.fill('#key', key);
    const owner = ownerOf(place(key));
    await page.waitForFunction(
      ([typed, id]) => document.querySelector('#key-chord strong')?.textContent === id && document.querySelector('.chord-ring ~ p')?.textContent.includes(`'${typed}'`),
      [key, owner],
    );
    const found = cluster.cli(from, 'chord', 'lookup', key, '--trace');
    const way = [from.name, ...found.path.map(({ id }) => id)];
    if (way[1] === from.name) way.shift();
    assert.ok((await text('#key-chord')).endsWith(way.join(' → ')), await text('#key-chord'));
    for (const picture of ['.ring:not(.chord-ring)', '.chord-ring']) {
      const lit = await page.locator(`${picture} .way path`).evaluateAll((all) => all.map(({ dataset }) => dataset.to));
      assert.deepEqual(lit, way.slice(1), picture);
    }
    if (way.length > longest) {
      longest = way.length;
      await browser.picture(page, 'chord', { fullPage: true });
    }
  }
  assert.ok(longest >= 3, 'no way had a hop');
  assert.deepEqual(await browser.barriers(page), []);
});

test('what a walk around the ring found is shown though others are silent, and why one had no answer', async () => {
  const [from] = nodes;
  const silent = { ok: false, error: { code: 'timeout', message: 'no answer in time', executed: 'unknown' } };
  const found = { complete: false, nodes: cluster.cli(from, 'chord', 'graph').nodes.slice(0, 3) };
  let data = { ok: true, data: found };
  const times = [];
  await page.route(/\/v1\/call\/command/, (route) => {
    const request = route.request();
    const asked = request.postDataJSON();
    if (asked.args?.[0] !== 'graph') return route.continue();
    times.push([asked.timeout_ms, Number(new URL(request.url()).searchParams.get('timeout_ms'))]);
    return route.fulfill({ json: { ok: true, data } });
  });
  const says = (part) => page.waitForFunction((told) => document.querySelector('#chord-walk')?.textContent.includes(told), part);
  const drawn = () => page.locator('[data-chord-node]').evaluateAll((all) => all.map(({ dataset }) => dataset.chordNode));
  await page.selectOption('#chord-node', from.name);
  await says('ended after 3 nodes');
  for (const { id } of found.nodes) assert.ok((await drawn()).includes(id), id);
  data = silent;
  await says(silent.error.message);
  for (const { id } of found.nodes) assert.ok((await drawn()).includes(id), id); // as before
  for (const [server, way] of times) assert.ok(server > 0 && server <= way, `${server} ${way}`);
  await page.unroute(/\/v1\/call\/command/);
  await page.waitForFunction(() => !document.querySelector('#chord-walk'), undefined, { timeout: 30_000 });
});

test('a node that is killed leaves the circle', async () => {
  const [victim] = nodes.splice(5, 1);
  victim.process.kill('SIGKILL');
  await page.waitForFunction((id) => !document.querySelector(`[data-chord-node="${id}"]`), victim.name, { timeout: 30_000 });
});

test('a node without Chord says so, and the rest of the page works', async () => {
  await page.selectOption('#chord-node', 'plain');
  await page.waitForFunction(() => document.querySelector('#chord-problem')?.textContent.includes('runs no Chord'));
  await page.fill('#key', 'user-18');
  await page.waitForFunction(() => !document.querySelector('#key-chord') && document.querySelector('#key-place strong'));
  cluster.cli(nodes[1], 'chord', 'leave');
  await page.selectOption('#chord-node', nodes[1].name);
  await page.waitForFunction(() => document.querySelector('#chord-problem')?.textContent.includes('in no Chord ring'));
  assert.deepEqual(browser.said, []);
});

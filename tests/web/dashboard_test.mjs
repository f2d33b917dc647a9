// The dashboard in a real browser, against real nodes. usage: dashboard_test.mjs PROGRAMS WEB PICTURES
// PROGRAMS: where cluster-node is; WEB: where npm installed playwright-core; PICTURES: where screenshots go.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { Cluster } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const cluster = new Cluster(programs);
let page, token;
let foo, bar, baz;
const { said, asked } = browser;
const open = (url, options) => browser.open(url, options);
const signIn = (on) => browser.signIn(on, token);
const picture = (on, name, options) => browser.picture(on, name, options);
const stateOnRing = (id) => page.getAttribute(`.ring [data-member="${id}"]`, 'data-state');
const hasFocus = (selector) => page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector);

/** Tab until the element has the focus; no mouse. */
async function tabTo(selector) {
  for (let presses = 0; !(await hasFocus(selector)); ++presses) {
    assert.ok(presses < 60, `Tab does not reach ${selector}`);
    await page.keyboard.press('Tab');
  }
}

before(async () => {
  foo = await cluster.start('foo');
  [bar, baz] = await Promise.all([cluster.start('bar'), cluster.start('baz'), browser.start()]);
  await cluster.settled();
  token = cluster.cli(foo, 'token');
});
after(async () => {
  await browser.stop();
  await cluster.stop();
});

test('the files of the page are served with their types, to be kept as long as they stay the same', async () => {
  const index = await fetch(`${foo.url}/`);
  assert.equal(index.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(index.headers.get('cache-control'), 'no-cache');
  const policy = index.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const html = await index.text();
  assert.doesNotMatch(html, /<script(?![^>]* src=)|<style| style=| on[a-z]+=/);
  const again = await fetch(`${foo.url}/`, { headers: { 'If-None-Match': index.headers.get('etag') } });
  assert.equal(again.status, 304);
  const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };
  const assets = [...html.matchAll(/"(\/assets\/[^"]+\.(js|css))"/g)];
  assert.deepEqual(assets.map(([, , kind]) => kind).sort(), ['css', 'js']);
  for (const [, path, kind] of assets) {
    const asset = await fetch(foo.url + path);
    assert.equal(asset.headers.get('content-type'), types[kind]);
    assert.match(asset.headers.get('cache-control'), /immutable/);
  }
  assert.match(await (await fetch(`${foo.url}/api`)).text(), /\/v1\/ring/);
});

test('the page wants the token, and says when it is wrong', async () => {
  page = await open(`${foo.url}/`);
  await page.fill('#token', 'wrong');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.token-form [role=alert]');
  await picture(page, 'token');
  said.length = 0; // the browser tells of the refusals
  await signIn(page);
  assert.deepEqual(await page.evaluate(() => [sessionStorage.length, Object.values(localStorage)]), [1, ['auto']]);
});

test('the ring, its members and what they own are those that the nodes tell', async () => {
  await page.waitForFunction(() => document.querySelectorAll('.ring .member').length === 3);
  for (const member of cluster.cli(foo, 'members')) assert.equal(await stateOnRing(member.id), member.state);
  const { members } = cluster.cli(foo, 'balance');
  for (const { id, share } of members) {
    const row = await page.textContent(`.members tr[data-member="${id}"]`);
    assert.ok(row.includes(`${(100 * share).toFixed(1)} %`), row);
  }
  await page.waitForFunction(() => document.querySelector('#converged')?.textContent === 'converged');
  assert.equal(await page.title(), 'foo · ring · libcluster');
});

test('a key that is typed in lights up its owner and its copies', async () => {
  for (const key of ['user-17', 'a/b ?#%', 'Ключ']) {
    await page.fill('#key', key);
    const owner = cluster.cli(foo, 'owner', key).id;
    await page.waitForSelector(`.ring [data-member="${owner}"][data-replica="0"]`);
    await page.waitForFunction((id) => document.querySelector('#key-place strong')?.textContent === id, owner);
    assert.equal(await page.locator('.ring [data-replica]').count(), 3);
  }
  await picture(page, 'ring');
  await page.fill('#key', '');
  await page.waitForFunction(() => !document.querySelector('.ring [data-replica]'));
});

test('an edit of the ring is shown', async () => {
  cluster.cli(bar, 'update', 'baz', 'localhost', baz.port, 256);
  await page.waitForFunction(() => document.querySelector('.members tr[data-member=baz]')?.textContent.includes('256'));
  cluster.cli(bar, 'insert', 'ghost', 'localhost', 9);
  await page.waitForSelector('.ring [data-member="ghost"]');
  cluster.cli(bar, 'remove', 'ghost');
  await page.waitForFunction(() => !document.querySelector('.ring [data-member="ghost"]'));
});

test('without a mouse: a member is chosen on the ring, and a server of another node is called by its form', async () => {
  await page.focus('a.skip');
  await tabTo('svg.ring');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('.ring [data-member="baz"][aria-selected="true"]');
  assert.match(await page.textContent('.member-card'), /baz/);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !document.querySelector('.member-card'));

  await tabTo('#tab-Members');
  for (const name of ['Links', 'Timeline', 'Chord', 'Keys', 'Files', 'Actors']) {
    await page.keyboard.press('ArrowRight');
    assert.ok(await hasFocus(`#tab-${name}`), name);
  }
  await tabTo('#actors-node');
  await page.keyboard.press('b');
  await page.waitForFunction(() => document.querySelector('#actors-node').value === 'bar');
  await page.waitForSelector('[data-server="counter"]');
  await tabTo('[data-server="counter"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#field-n');
  await tabTo('#field-n');
  await page.keyboard.type('41');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#call-outcome pre')?.textContent === '41');
  assert.equal(cluster.cli(bar, 'call', 'counter', 'get'), 41);
  await picture(page, 'actors');
  await page.fill('#field-n', 'x');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#call-outcome pre')?.textContent.includes('not a number'));
});

test('a node that is killed is shown by the ring, the list, the events and the timeline', async () => {
  await page.click('#tab-Events');
  bar.process.kill('SIGKILL');
  await page.waitForSelector('.ring [data-member="bar"][data-state="unreachable"]');
  assert.match(await page.textContent('#alive'), /^2 of 3$/);
  const down = page.locator('.events li', { hasText: 'unreachable' });
  assert.match(await down.first().textContent(), /bar/);
  await picture(page, 'killed');
  await page.click('#tab-Timeline');
  await page.waitForSelector('.timeline-row[data-member="bar"] .segment.unreachable');
  await picture(page, 'timeline');
  await page.click('#tab-Links');
  await page.waitForSelector('[data-link="bar"][data-connected="false"]');
  await page.click('#tab-Members');
  await page.waitForSelector('.members tr[data-member="bar"][data-state="unreachable"]');
});

test('every panel is accessible, in light and in dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const name of ['Members', 'Links', 'Timeline', 'Chord', 'Keys', 'Files', 'Actors', 'Events', 'Metrics']) {
      await page.click(`#tab-${name}`);
      assert.deepEqual(await browser.barriers(page), [], `${name}, ${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
});

test('it fits on a phone, and has its dark colours', async () => {
  const phone = await open(`${foo.url}/`, {
    viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark',
  });
  await signIn(phone);
  for (const name of ['Members', 'Links', 'Timeline', 'Chord', 'Keys', 'Files', 'Actors', 'Events', 'Metrics']) {
    await phone.tap(`#tab-${name}`);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
  }
  await phone.tap('#tab-Members');
  await picture(phone, 'phone-dark', { fullPage: true });
  const background = (on) => on.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.notEqual(await background(phone), await background(page));
  await phone.context().close();
});

test('the page says when its own node is gone, and no token was ever in an address', async () => {
  await page.click('#tab-Metrics');
  await page.waitForSelector('.metrics-table tbody tr');
  await picture(page, 'metrics');
  // One of three nodes is dead: the store may refuse to list keys, and the panel says so.
  assert.deepEqual(said.filter((text) => !/ 503 .*\/v1\/(kv|watch|files)/.test(text)), []);
  foo.process.kill('SIGTERM');
  await page.waitForSelector('.banner[role=alert]');
  assert.ok(asked.length > 20);
  for (const url of asked) assert.ok(!url.includes(token) && new URL(url).origin === foo.url, url);
});

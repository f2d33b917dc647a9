// What a person types into the panel of keys goes where the page says, as it is, and nothing else is written.
// usage: kv_form_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { Cluster, waitUntil } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const cluster = new Cluster(programs);
let node, page, token;

const shown = (key) => page.waitForSelector(`#kv-keys [data-key="${key}"]`);
const value = () => page.inputValue('#kv-value');
const told = (text) => page.waitForFunction((part) => document.querySelector('#kv-outcome')?.textContent.includes(part), text);
const ask = (path, options = {}) => fetch(`${node.url}/v1/kv/${path}`, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers } });
const put = async (path, body) => assert.equal((await ask(path, { method: 'PUT', body })).status, 200);
const bytes = async (path) => Buffer.from(await (await ask(path)).arrayBuffer());
const lives = async (path) => Number((await ask(path)).headers.get('X-Cluster-TTL') ?? 0);

/** Presses keys as a person does, in what has the focus. */
const type = (text, delay) => page.keyboard.type(text, { delay });
const typeBucket = async (name, delay) => {
  await page.click('#kv-bucket');
  await page.keyboard.press('Control+A');
  await type(name, delay);
};
const open = async (key) => {
  await shown(key);
  await page.click(`#kv-keys [data-key="${key}"]`);
  await page.waitForFunction((name) => document.querySelector('.kv-editor h3 bdi')?.textContent === name, key);
  await page.waitForSelector('#kv-value:enabled');
};

before(async () => {
  node = await cluster.start('n0', '--kv');
  await browser.start();
  await waitUntil(() => cluster.cli(node, 'kv', 'status').settled, 'it has settled');
  token = cluster.cli(node, 'token');
  page = await browser.open(`${node.url}/`);
  await browser.signIn(page, token);
  await page.click('#tab-Keys');
  await page.waitForSelector('#kv-status');
});
after(async () => {
  await browser.stop();
  await cluster.stop();
});

for (const delay of [0, 120])
  test(`a bucket, then a prefix, typed at ${delay} ms a key, are both asked for, and what is removed is what is shown`, async () => {
    for (const bucket of ['default', 'prod']) for (const key of ['user-1', 'other']) await put(`${bucket}/${key}`, `in ${bucket}`);
    await typeBucket('prod', delay);
    await page.keyboard.press('Tab');
    await type('user', delay);
    await page.waitForFunction(() => document.querySelectorAll('#kv-keys button').length === 1);
    await open('user-1');
    assert.equal(await value(), 'in prod');
    await page.click('#kv-remove');
    await page.click('text=Keep');
    await page.click('#kv-remove');
    assert.equal(String(await bytes('prod/user-1')), 'in prod'); // it asks first
    await page.click('#kv-remove-yes');
    await waitUntil(async () => (await ask('prod/user-1')).status === 404, 'it is removed');
    assert.equal(String(await bytes('default/user-1')), 'in default');
    await page.fill('#kv-prefix', '');
    await typeBucket('default', 0);
    await open('user-1');
    assert.equal(await value(), 'in default');
    await page.click('text=Close');
  });

for (const delay of [0, 20, 60, 120])
  test(`a bucket, a key and its value, typed at ${delay} ms a key, are what is added`, async () => {
    const bucket = `b${delay}`;
    await typeBucket(bucket, delay);
    await page.click('#kv-key');
    await type('key', delay);
    await page.keyboard.press('Tab');
    await type('val', delay);
    await page.click('#kv-save');
    await told(`'key' is written in ${bucket}.`);
    assert.equal(String(await bytes(`${bucket}/key`)), 'val');
    assert.deepEqual(cluster.cli(node, 'kv', 'ls', '', bucket), ['key']);
    for (const key of ['key', 'val']) assert.equal((await ask(`default/${key}`)).status, 404);
    assert.deepEqual([await page.inputValue('#kv-key'), await value()], ['', '']);
    await shown('key');
  });

test('what is typed while another bucket is chosen, or another key, or while it is saved, stays', async () => {
  for (const key of ['a', 'b']) await put(`drafts/${key}`, key);
  await page.fill('#kv-key', 'later');
  await page.fill('#kv-value', 'not yet');
  await typeBucket('drafts', 60);
  assert.deepEqual([await page.inputValue('#kv-key'), await value()], ['later', 'not yet']);
  await open('a');
  await page.fill('#kv-value', 'half of a thought');
  await open('b');
  assert.equal(await value(), 'b');
  assert.match(await page.textContent('#kv-keys'), /a not saved/);
  await typeBucket('default', 0);
  assert.deepEqual([await page.inputValue('#kv-key'), await value()], ['later', 'not yet']);
  await typeBucket('drafts', 0);
  await put('drafts/a', 'from elsewhere');
  await open('a');
  await told('changed elsewhere meanwhile');
  assert.equal(await value(), 'half of a thought');
  await page.click('text=Read again');
  await page.waitForFunction(() => document.querySelector('#kv-value').value === 'from elsewhere');
  await page.fill('#kv-value', 'saved');
  let goOn;
  const typed = new Promise((done) => (goOn = done));
  await page.route('**/v1/kv/drafts/a', async (route) => {
    await typed;
    await route.continue();
  });
  await page.click('#kv-save');
  await page.fill('#kv-value', 'saved, and more');
  goOn();
  await told('Saved.');
  await page.unroute('**/v1/kv/drafts/a');
  assert.equal(await value(), 'saved, and more');
  await page.click('#kv-save');
  await waitUntil(async () => String(await bytes('drafts/a')) === 'saved, and more', 'the rest is saved, and no sibling of it');
  await page.click('text=Close');
  await page.fill('#kv-key', '');
  await page.fill('#kv-value', '');
});

test('bytes that are no text are replaced by what was typed alone, and text keeps the bytes that are not shown', async () => {
  const binary = Buffer.from([0, 255, 254, 10]);
  const text = '\ufefftwo\r\nlines\r\n';
  await put('bytes/binary', binary);
  await put('bytes/text', text);
  await typeBucket('bytes', 0);
  await open('binary');
  assert.match(await page.textContent('#kv-bytes'), /4 bytes that are no text.*in its place/);
  assert.ok(await page.isDisabled('#kv-save'));
  await page.selectOption('#kv-life', 'for');
  await page.fill('#kv-ttl', '1h');
  await page.keyboard.press('Enter');
  assert.ok(await page.isDisabled('#kv-save'));
  assert.deepEqual(await browser.barriers(page), []);
  await browser.picture(page, 'keys-binary');
  assert.deepEqual(await bytes('bytes/binary'), binary);
  await page.fill('#kv-value', 'text now');
  assert.equal(await page.textContent('#kv-save'), 'Replace');
  await page.click('#kv-save');
  await told('Saved.');
  assert.equal(String(await bytes('bytes/binary')), 'text now');
  assert.ok((await lives('bytes/binary')) > 3_000_000);

  await open('text');
  await page.click('#kv-save');
  await told('Saved.');
  assert.equal(String(await bytes('bytes/text')), text);
  await page.focus('#kv-value');
  await page.keyboard.press('Control+End');
  await type('more', 0);
  await page.click('#kv-save');
  await waitUntil(async () => String(await bytes('bytes/text')) === `${text}more`, 'it is saved');
  await page.click('text=Close');
});

test('a time to live is shown, kept when the value is saved, and can be changed', async () => {
  await put('times/key?ttl_ms=3000000', 'one');
  await typeBucket('times', 0);
  await open('key');
  assert.match(await page.textContent('#kv-life option:checked'), /^until \d\d:\d\d:\d\d/);
  await page.fill('#kv-value', 'two');
  await page.click('#kv-save');
  await told('Saved.');
  assert.equal(String(await bytes('times/key')), 'two');
  const left = await lives('times/key');
  assert.ok(left > 2_900_000 && left <= 3_001_000, `${left} ms left`);
  await page.selectOption('#kv-life', 'for');
  await page.fill('#kv-ttl', 'soon');
  await page.click('#kv-save');
  await told('A time to live is a number');
  await page.fill('#kv-ttl', '2h');
  await page.setViewportSize({ width: 320, height: 640 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.setViewportSize({ width: 1400, height: 950 });
  await page.click('#kv-save');
  await told('Saved.');
  assert.ok((await lives('times/key')) > 7_000_000);
  await page.selectOption('#kv-life', 'ever');
  await page.click('#kv-save');
  await waitUntil(async () => (await lives('times/key')) === 0, 'it stays for ever');
  await page.click('text=Close');
  await page.fill('#kv-key', 'fresh');
  await page.selectOption('#kv-life', 'for');
  await page.fill('#kv-ttl', '10m');
  await page.click('#kv-save');
  await told('is written in times');
  assert.ok((await lives('times/fresh')) > 500_000);
});

test('what is saved once its time is over is not lost', async () => {
  await put('times/short?ttl_ms=1500', 'one');
  await typeBucket('times', 0);
  await open('short');
  await page.fill('#kv-value', 'two');
  await waitUntil(async () => (await ask('times/short')).status === 404, 'it is over');
  await page.click('#kv-save');
  await told('Its time is over');
  assert.equal(await value(), 'two');
  await page.selectOption('#kv-life', 'ever');
  await page.click('#kv-save');
  await told('Saved.');
  assert.equal(String(await bytes('times/short')), 'two');
  assert.deepEqual(browser.said.filter((text) => !/40[49]/.test(text)), []);
});

// The panels of keys and of files in a real browser, against real nodes. usage: kv_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { Cluster, waitUntil } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const cluster = new Cluster(programs);
let nodes, pages;

const shown = (page, key) => page.waitForSelector(`#kv-keys [data-key="${key}"]`);
const value = (page) => page.inputValue('#kv-value');
const told = (page, text) => page.waitForFunction((part) => document.querySelector('#kv-outcome')?.textContent.includes(part), text);

before(async () => {
  const first = await cluster.start('n0', '--kv');
  nodes = [first, await cluster.start('n1', '--kv')];
  await browser.start();
  await cluster.settled();
  for (const node of nodes) await waitUntil(() => cluster.cli(node, 'kv', 'status').settled, `${node.name} has settled`);
});
after(async () => {
  await browser.stop();
  await cluster.stop();
});

test('a key that is added on one page is read, changed and removed on another', async () => {
  pages = [];
  for (const node of nodes) {
    const page = await browser.open(`${node.url}/`);
    await browser.signIn(page, cluster.cli(node, 'token'));
    await page.click('#tab-Keys');
    await page.waitForSelector('#kv-status');
    pages.push(page);
  }
  const [one, two] = pages;
  await one.fill('#kv-key', 'greeting/ä');
  await one.fill('#kv-value', 'hello');
  await one.click('#kv-save');
  await told(one, 'is written');
  await shown(two, 'greeting/ä');
  await two.click('#kv-keys [data-key="greeting/ä"]');
  await two.waitForFunction(() => document.querySelector('#kv-value')?.value === 'hello');
  await two.fill('#kv-value', 'hello again');
  await two.click('#kv-save');
  await told(two, 'Saved');
  assert.equal(cluster.cli(nodes[0], 'kv', 'get', 'greeting/ä').value, 'hello again');
  cluster.cli(nodes[0], 'kv', 'put', 'greeting/ä', 'from outside'); // what changes elsewhere is shown as it happens
  await two.waitForFunction(() => document.querySelector('#kv-value')?.value === 'from outside');
  await two.waitForFunction(() => /written.*greeting/.test(document.querySelector('.kv-changes li')?.textContent ?? ''));
  await two.fill('#kv-value', 'half of a thought');
  cluster.cli(nodes[0], 'kv', 'put', 'greeting/ä', 'outside again');
  await told(two, 'changed elsewhere meanwhile');
  assert.equal(await value(two), 'half of a thought');
  await two.click('text=Read again');
  await two.waitForFunction(() => document.querySelector('#kv-value')?.value === 'outside again');
  await two.click('#kv-remove');
  await two.click('#kv-remove-yes');
  await one.waitForFunction(() => document.querySelectorAll('#kv-keys button').length === 0);
  assert.deepEqual(cluster.cli(nodes[0], 'kv', 'ls'), []);
});

test('a prefix is asked for when it is typed, not at each key press', async () => {
  for (const key of ['prefix/a', 'prefix/b', 'other']) cluster.cli(nodes[0], 'kv', 'put', key, 'x');
  const page = await browser.open(`${nodes[0].url}/`);
  await browser.signIn(page, cluster.cli(nodes[0], 'token'));
  await page.click('#tab-Keys');
  await shown(page, 'other');
  const asked = () => browser.asked.filter((url) => /\/v1\/(watch|kv)\/default\?.*prefix=p/.test(url));
  await page.clock.install(); // the machine's pauses are none of the typist's
  await page.clock.pauseAt(Date.now() + 1000);
  for (const letter of 'prefix/') {
    await page.locator('#kv-prefix').evaluate((input, data) => {
      input.value += data;
      input.dispatchEvent(new InputEvent('input', { bubbles: true, data }));
    }, letter);
    await page.clock.runFor(100); // it is drawn, and what it asks for is asked
  }
  await page.clock.resume();
  await page.waitForFunction(() => document.querySelectorAll('#kv-keys button').length === 2);
  assert.deepEqual([...new Set(asked().map((url) => new URL(url).searchParams.get('prefix')))], ['prefix/']);
  await page.fill('#kv-prefix', '');
  await shown(page, 'other');
  await page.context().close();
  for (const key of ['prefix/a', 'prefix/b', 'other']) cluster.cli(nodes[0], 'kv', 'del', key);
});

test('after a break the page says that changes are told again, although none comes', async () => {
  const headers = { Authorization: `Bearer ${cluster.cli(nodes[0], 'token')}` };
  const { data } = await (await fetch(`${nodes[0].url}/v1/watch/quiet`, { headers })).json();
  const page = await browser.open(`${nodes[0].url}/`);
  const row = JSON.stringify({ seq: data.last, event: 'watching', members: ['n0', 'n1'], silent: [] });
  let broken = 0;
  let goOn;
  const seen = new Promise((done) => (goOn = done));
  await page.route('**/v1/watch/quiet?*', async (route) => {
    if (broken++ === 0) return route.fulfill({ contentType: 'text/event-stream', body: `id: ${data.last}\ndata: ${row}\n\n` });
    await seen; // the page has shown the break, however long it took
    return route.continue();
  });
  await browser.signIn(page, cluster.cli(nodes[0], 'token'));
  await page.click('#tab-Keys');
  await page.fill('#kv-bucket', 'quiet');
  await page.keyboard.press('Enter');
  const says = (text) => page.waitForFunction((part) => document.querySelector('#kv-watch')?.textContent.includes(part), text);
  await says('not told just now');
  goOn();
  await says('as they happen on any node: none yet');
  await page.context().close();
});

const nameIn = (page, name) => page.waitForSelector(`#files [data-file=${JSON.stringify(name)}]`);
const bytesOf = (size, seed) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 31 + seed) % 251));

test('a file that is added on one page is seen, fetched and removed on the page of another node', async () => {
  const [one, two] = pages;
  const [content, other] = [bytesOf(3_000_000, 1), bytesOf(10, 2)];
  for (const page of pages) await page.click('#tab-Files');
  await one.setInputFiles('#upload-file', { name: 'report.bin', mimeType: 'application/x-report', buffer: content });
  assert.equal(await one.inputValue('#upload-name'), 'report.bin');
  await one.focus('#upload-name');
  await one.keyboard.press('Enter');
  await one.waitForFunction(() => document.querySelector('#upload-outcome')?.textContent.includes('is stored'));
  await nameIn(two, 'report.bin');
  await two.click('#files [data-file="report.bin"] button');
  await two.waitForFunction(() => document.querySelector('#file-stat')?.textContent.includes('3,000,000'));
  assert.match(await two.textContent('#file-stat'), /application\/x-report/);
  const [download] = await Promise.all([two.waitForEvent('download'), two.click('#file-download')]);
  assert.equal(download.suggestedFilename(), 'report.bin');
  assert.ok(readFileSync(await download.path()).equals(content));
  await browser.picture(two, 'files');

  await one.setInputFiles('#upload-file', { name: 'report.bin', mimeType: '', buffer: other });
  await one.click('#upload-go');
  await one.waitForFunction(() => document.querySelector('#upload-outcome.problem')?.textContent.includes('there is a file'));
  await one.check('#upload-replace');
  await one.click('#upload-go');
  await one.waitForFunction(() => document.querySelector('#upload-outcome')?.textContent.includes('is stored'));
  const remove = async () => {
    await two.click('#file-remove');
    await two.click('#file-remove-yes');
  };
  await remove(); // what this page saw is there no more
  await two.waitForFunction(() => document.querySelector('#file-outcome')?.textContent.includes('another file'));
  await two.click('text=Keep');
  await two.click('text=Read again');
  await two.waitForFunction(() => document.querySelector('#file-stat')?.textContent.includes('10 bytes'));
  await remove();
  await one.waitForFunction(() => !document.querySelector('#files [data-file="report.bin"]'));
});

test('names that others chose are shown as what they are, in pages', async () => {
  const [one, two] = pages;
  const hostile = ['<img src=x onerror=alert(1)>', 'invoice\u202efdp.exe', '../../etc/passwd', '  two  spaces', '"quotes" & \'more\''];
  const names = [...hostile, ...Array.from({ length: 55 }, (_, i) => `page ${String(i).padStart(2, '0')}`)];
  const headers = { Authorization: `Bearer ${cluster.cli(nodes[0], 'token')}` };
  for (const name of names) await fetch(`${nodes[0].url}/v1/files/${encodeURIComponent(name)}`, { method: 'PUT', headers, body: name });
  for (const name of hostile) await nameIn(two, name);
  assert.equal(await two.locator('#files img').count(), 0);
  assert.equal(await two.textContent('#files [data-file*="invoice"] bdi'), 'invoice\\u{202e}fdp.exe');
  await two.waitForFunction(() => document.querySelectorAll('#files tbody tr').length === 50);
  await two.click('#files-next');
  await nameIn(two, 'page 54');
  await two.waitForFunction((left) => document.querySelectorAll('#files tbody tr').length === left, names.length - 50);
  await two.click('#files-back');
  await nameIn(two, hostile[0]);
  await two.fill('#files-prefix', '../');
  await two.waitForFunction(() => document.querySelectorAll('#files tbody tr').length === 1);
  await two.click('#files button');
  await two.waitForSelector('#file-stat dd');
  const [download] = await Promise.all([two.waitForEvent('download'), two.click('#file-download')]);
  assert.ok(!download.suggestedFilename().includes('/'));
  for (const page of [one, two]) assert.deepEqual(await browser.barriers(page), []);
  await two.fill('#files-prefix', '');
  await browser.picture(two, 'files-hostile');
  for (const page of pages) await page.click('#tab-Keys');
});

test('a key that is there is not added again, and siblings are shown and become one', async () => {
  const [one, two] = pages;
  for (const text of ['milk', 'bread']) cluster.cli(nodes[0], 'kv', 'put', 'cart', text, '--context', '');
  await shown(one, 'cart');
  await one.fill('#kv-key', 'cart');
  await one.fill('#kv-value', 'eggs');
  await one.click('#kv-save');
  await told(one, 'the key has a value');
  await shown(two, 'cart');
  await two.click('#kv-keys [data-key="cart"]');
  await told(two, 'Siblings');
  assert.deepEqual((await value(two)).split('\n').sort(), ['bread', 'milk']);
  await browser.picture(two, 'keys');
  await two.fill('#kv-value', 'bread and milk');
  await two.click('#kv-save');
  await told(two, 'Saved');
  assert.equal(cluster.cli(nodes[1], 'kv', 'get', 'cart').value, 'bread and milk');
});

// The panel of keys in a real browser, against real nodes. usage: kv_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
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
  await two.click('#kv-remove');
  await one.waitForFunction(() => document.querySelectorAll('#kv-keys button').length === 0);
  assert.deepEqual(cluster.cli(nodes[0], 'kv', 'ls'), []);
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

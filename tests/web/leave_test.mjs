// How the page shows a member that hands over its keys and leaves. usage: leave_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Browser } from './browser.mjs';
import { Cluster, kCookie, waitUntil } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const cluster = new Cluster(programs);
const kKeys = 300;
let here, leaver, silent, page, left;

before(async () => {
  const options = ['--kv', '--kv-bucket', 'one:n=1,r=1,w=1'];
  here = await cluster.start('here', ...options);
  [leaver, silent] = await Promise.all([cluster.start('leaver', ...options), cluster.start('silent', ...options), browser.start()]);
  await cluster.settled();
  for (const node of cluster.nodes) await waitUntil(() => cluster.cli(node, 'kv', 'status').settled, `${node.name} has settled`);
  const token = cluster.cli(here, 'token');
  const entries = Array.from({ length: kKeys }, (_, i) => ({ put: `key ${i}`, value: `value ${i}` }));
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const put = await fetch(`${here.url}/v1/kv/one`, { method: 'POST', headers, body: JSON.stringify(entries) });
  assert.ok((await put.json()).data.every(({ ok }) => ok));
  page = await browser.open(`${here.url}/`);
  await browser.signIn(page, token);
});
after(async () => {
  await browser.stop();
  await cluster.stop();
});

test('while keys are where they belong the page says that none move', async () => {
  await page.click('#tab-Keys');
  await page.waitForFunction(() => document.querySelector('#kv-handover')?.textContent === 'No keys are handed over.');
  assert.equal(await page.locator('[data-handover]').count(), 0);
});

test('a member that leaves is shown with the keys that it has to hand over yet', async () => {
  silent.process.kill('SIGSTOP'); // takes nothing now: what goes there waits
  await page.waitForSelector('.ring [data-member="silent"][data-state="unreachable"]');
  const words = ['-p', leaver.port, '-a', kCookie, 'leave', '--drain-timeout', '60s'];
  left = promisify(execFile)(`${programs}/cluster-cli`, words.map(String), { encoding: 'utf8' });
  await page.waitForSelector('[data-handover="leaver"][data-leaving="true"]');
  await page.waitForSelector('.ring [data-member="leaver"][data-leaving="true"]');
  const shown = () => page.evaluate(() => Number(document.querySelector('[data-handover="leaver"]')?.dataset.left));
  await waitUntil(async () => {
    const told = cluster.cli(leaver, 'kv', 'status').left;
    return told > 0 && told < kKeys && (await shown()) === told;
  }, 'the page tells what kv status tells');
  assert.match(await page.textContent('[data-handover="leaver"] .what'), /^\d+ keys? to hand over/);
  assert.match(await page.textContent('#kv-handover'), /: \d+ to hand over\.$/);
  assert.deepEqual(await browser.barriers(page), []);
  await page.click('[data-handover="leaver"] button');
  assert.match(await page.textContent('.member-card'), /leaving.*keys? to hand over/s);
  await browser.picture(page, 'handover');
  await page.click('#tab-Members');
  const row = await page.textContent('.members tr[data-member="leaver"]');
  assert.match(row, /leaving/);
  assert.match(row, /keys? to hand over/);
  assert.deepEqual(await browser.barriers(page), []);
});

test('it is gone when all is handed over, and nothing is lost', async () => {
  await page.click('#tab-Keys');
  silent.process.kill('SIGCONT');
  assert.deepEqual(JSON.parse((await left).stdout), { ok: true });
  await page.waitForFunction(() => !document.querySelector('.ring [data-member="leaver"]'));
  await page.waitForFunction(() => document.querySelector('#kv-handover')?.textContent === 'No keys are handed over.');
  assert.equal(cluster.cli(here, 'kv', 'ls', '--bucket', 'one').length, kKeys);
});

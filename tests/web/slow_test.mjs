// Members that are slow to answer keep nobody waiting who uses the page. usage: slow_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { Crowd } from './crowd.mjs';
import { Cluster, waitUntil } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const cluster = new Cluster(programs);
const kSlow = 5000; // milliseconds until an answer, if it may take so long
const kNever = 'store-49'; // says nothing, and the node waits for it

/** A way to a node, over real connections, on which what asks others comes late and keys are saved at once. */
class LateWay {
  out = new Map(); // calls of members that have no answer yet
  asked = new Set();
  most = 0;
  twice = []; // who was asked while it had not answered

  constructor(node) {
    this.to = new URL(node.url);
    this.server = createServer((asked, answer) => {
      const member = /^\/v1\/call\/command(?:@|%40)([^/]+)/.exec(asked.url)?.[1];
      if (member) this.late(member, asked, answer);
      else if (asked.method === 'POST' && asked.url.startsWith('/v1/kv/')) {
        answer.writeHead(201, { 'Content-Type': 'application/json' }).end('{"ok":true,"data":{"context":"x"}}');
      } else if (/^\/v1\/(status|kv\/)/.test(asked.url)) setTimeout(() => this.onward(asked, answer), 2000);
      else this.onward(asked, answer);
    });
  }
  async start() {
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${this.server.address().port}/`;
  }
  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
  late(member, asked, answer) {
    asked.resume();
    const out = this.out.get(member) ?? 0;
    if (out > 0) this.twice.push(member);
    this.asked.add(member);
    this.out.set(member, out + 1);
    this.most = Math.max(this.most, [...this.out.values()].reduce((sum, each) => sum + each));
    const may = Number(new URL(asked.url, this.to).searchParams.get('timeout_ms') ?? kSlow);
    const error = JSON.stringify({ ok: false, error: { code: 'timeout', message: 'no answer in time', executed: 'unknown' } });
    const timer = setTimeout(() => answer.writeHead(504, { 'Content-Type': 'application/json' }).end(error), Math.min(may, kSlow));
    if (member === kNever) clearTimeout(timer);
    answer.once('close', () => {
      clearTimeout(timer);
      this.out.set(member, this.out.get(member) - 1);
    });
  }
  onward(asked, answer) {
    const headers = { ...asked.headers, host: this.to.host };
    if (headers.origin) headers.origin = this.to.origin;
    const on = request({ host: this.to.hostname, port: this.to.port, path: asked.url, method: asked.method, headers }, (found) => {
      answer.writeHead(found.statusCode, found.headers);
      found.pipe(answer);
    });
    on.on('error', () => answer.destroy());
    answer.once('close', () => on.destroy());
    asked.pipe(on);
  }
}

let way, page;

before(async () => {
  const node = await cluster.start('store-0', '--kv', '--chord');
  const crowd = new Crowd(cluster, node, Array.from({ length: 49 }, (_, i) => `store-${i + 1}`));
  way = new LateWay(node);
  const url = await way.start();
  await browser.start();
  page = await browser.open('about:blank');
  await crowd.speakOfMembers(page);
  await page.goto(url);
  await browser.signIn(page, cluster.cli(node, 'token'));
});
after(async () => {
  await browser.stop();
  way?.stop();
  await cluster.stop();
});

test('a key is saved at once while members do not answer', async (t) => {
  await page.click('#tab-Chord');
  await page.selectOption('#chord-node', 'store-3');
  await page.click('#tab-Keys');
  let slowest = 0;
  for (let i = 0; i < 10; ++i) {
    await waitUntil(() => [...way.out.values()].some((out) => out > 0), 'members are asked');
    await page.fill('#kv-key', `key ${i}`);
    await page.fill('#kv-value', 'value');
    const begun = performance.now();
    await page.click('#kv-save');
    await page.waitForFunction((text) => document.querySelector('#kv-outcome')?.textContent.includes(text), `'key ${i}' is written`);
    slowest = Math.max(slowest, performance.now() - begun);
  }
  t.diagnostic(`the slowest of 10 keys took ${slowest.toFixed(0)} ms`);
  assert.ok(slowest < 2000, `${slowest} ms`);
});

test('few members are asked at a time, none again before it answered or was given up', async (t) => {
  await waitUntil(() => way.asked.has(kNever), `${kNever} is asked`);
  await waitUntil(() => way.out.get(kNever) === 0, `${kNever} is given up`);
  t.diagnostic(`at most ${way.most} calls at a time, ${way.asked.size} members asked`);
  assert.ok(way.most <= 3, `${way.most} at a time`);
  assert.deepEqual(way.twice, []);
});

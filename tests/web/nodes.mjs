// Real nodes on loopback, and what is said to them from outside the page.
import { execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';

export const kDeadline = 30_000; // milliseconds for whatever must happen soon, on a slow and busy machine
export const kCookie = 'a cookie for tests only';

/** What holds `port`, or null. */
const bound = (port) =>
  new Promise((done) => {
    const holder = createServer().once('error', () => done(null));
    holder.listen(port, '127.0.0.1', () => done(holder.unref()));
  });

/** Ports in blocks of this process, as tests/process/ports.py has them. */
async function* freePorts() {
  for (;;) {
    const first = 10_000 + 100 * Math.floor(220 * Math.random());
    if (!(await bound(first))) continue; // else held until the process ends
    for (let port = first + 1; port < first + 100; ++port) {
      const probe = await bound(port);
      if (!probe) continue;
      await new Promise((done) => probe.close(done));
      yield port;
    }
  }
}
const ports = freePorts();

/** Asks again until the answer is true. */
export async function waitUntil(condition, what) {
  for (const end = Date.now() + kDeadline; !(await condition()); ) {
    if (Date.now() > end) throw new Error(`not within ${kDeadline / 1000} s: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export class Cluster {
  nodes = [];

  constructor(programs) {
    this.programs = programs;
  }

  /** A node that serves HTTP; it meets the first one. */
  async start(name, ...options) {
    const port = (await ports.next()).value;
    const way = this.nodes.length > 0 ? ['--meet', `localhost:${this.nodes[0].port}`] : ['--ring', 'ring'];
    const process = spawn(
      `${this.programs}/cluster-node`,
      ['-I', name, '-H', 'localhost', '-p', String(port), '-a', kCookie, '--log-level', 'warn', '--demo-actors', '--http', '0', ...way, ...options],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const node = { name, port, process, url: '', ended: new Promise((done) => process.once('exit', done)) };
    this.nodes.push(node);
    for await (const line of createInterface({ input: process.stdout })) {
      node.url = /^HTTP at (.+)\/$/.exec(line)?.[1] ?? '';
      if (node.url) break;
    }
    if (!node.url) throw new Error(`${name} does not say where it serves HTTP`);
    process.stdout.resume();
    return node;
  }

  cli(node, ...words) {
    const options = { encoding: 'utf8', env: { PATH: '/usr/bin:/bin', HOME: tmpdir() }, timeout: kDeadline };
    return JSON.parse(execFileSync(`${this.programs}/cluster-cli`, ['-p', String(node.port), '-a', kCookie, ...words.map(String)], options)).data;
  }

  /** Until each node holds all others alive. */
  async settled() {
    for (const node of this.nodes)
      await waitUntil(
        () => this.cli(node, 'members').filter(({ state }) => state === 'alive').length === this.nodes.length,
        `${node.name} holds all alive`,
      );
  }

  async stop() {
    for (const { process, ended } of this.nodes) {
      if (process.exitCode === null && process.signalCode === null) process.kill('SIGKILL');
      await ended;
    }
  }
}

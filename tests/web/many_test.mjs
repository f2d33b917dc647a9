// The page with 50 and with 200 members. usage: many_test.mjs PROGRAMS WEB PICTURES
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Browser } from './browser.mjs';
import { Crowd } from './crowd.mjs';
import { Cluster } from './nodes.mjs';

const [programs, web, pictures] = process.argv.slice(2);
const browser = new Browser(web, pictures);
const kPanels = ['Members', 'Links', 'Timeline', 'Chord', 'Keys', 'Files', 'Actors', 'Events', 'Metrics'];
const kRedrawMost = 3000; // milliseconds, on a slow and busy machine; what it takes is printed

/** Names and other texts of a picture that lie over each other by more than a hair, or leave the window. */
const clashes = (page, selector) =>
  page.locator(selector).evaluateAll((texts) => {
    // A rotated text is held against others at points along its middle line.
    const boxes = texts.map((text) => {
      const { x, y, width, height } = text.getBBox();
      const turned = text.getScreenCTM();
      const points = Array.from({ length: 9 }, (_, i) => new DOMPoint(x + (width * i) / 8, y + height / 2).matrixTransform(turned));
      return { name: text.textContent, points, inverse: turned.inverse(), x, y, width, height };
    });
    const lies = (point, { inverse, x, y, width, height }) => {
      const at = point.matrixTransform(inverse);
      const air = 0.2 * height; // a line is higher than its letters
      return at.x > x + 1 && at.x < x + width - 1 && at.y > y + air && at.y < y + height - air;
    };
    const found = [];
    for (const [i, a] of boxes.entries())
      for (const b of boxes.slice(0, i))
        if (a.points.some((point) => lies(point, b)) || b.points.some((point) => lies(point, a))) found.push(`${a.name} / ${b.name}`);
    for (const { name, points } of boxes)
      if (points.some((point) => point.x < 0 || point.x > innerWidth)) found.push(`${name} is out of the window`);
    return found;
  });

/** Milliseconds until what a key press changes is painted: the median and the longest of some. */
async function redraws(page) {
  await page.focus('svg.ring');
  const times = await page.evaluate(async () => {
    const ring = document.querySelector('svg.ring');
    const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times = [];
    for (let i = 0; i < 15; ++i) {
      await painted();
      const begun = performance.now();
      ring.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
      await painted();
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b);
  });
  await page.keyboard.press('Escape');
  return { median: times[times.length >> 1], longest: times.at(-1) };
}

for (const count of [50, 200]) {
  const cluster = new Cluster(programs);
  let crowd, page, url, token;
  const ill = { unreachable: 'store-7', suspect: 'store-11' };
  const shown = () => page.locator('.ring:not(.chord-ring) .member').count();
  const open = async (options) => {
    const opened = await browser.open('about:blank', options);
    await crowd.speak(opened);
    await opened.goto(url);
    await browser.signIn(opened, token);
    await opened.waitForFunction((all) => document.querySelectorAll('.ring .member').length === all, count);
    await opened.waitForFunction((id) => document.querySelector(`.ring [data-member="${id}"]`)?.dataset.state === 'suspect', ill.suspect);
    return opened;
  };

  test(`${count} members`, async (t) => {
    t.before(async () => {
      const node = await cluster.start('store-0', '--kv', '--chord');
      crowd = new Crowd(cluster, node, Array.from({ length: count - 1 }, (_, i) => `store-${i + 1}`));
      for (const [state, id] of Object.entries(ill)) crowd.states.set(id, state);
      crowd.moving.set('store-3', 812).set('store-21', 64);
      [url, token] = [`${node.url}/`, cluster.cli(node, 'token')];
      if (!browser.browser) await browser.start();
      page = await open();
    });
    t.after(async () => {
      await page?.context().close();
      await cluster.stop();
    });

    await t.test('all are drawn, each with its part of the ring, and those that are not well stand out', async () => {
      assert.equal(await page.locator('.ring .arcs').count(), count);
      assert.equal(await page.locator('.ring .share').count(), count);
      const at = await page.locator('.ring .member > circle:last-of-type').evaluateAll((all) => all.map((dot) => [dot.cx.baseVal.value, dot.cy.baseVal.value, dot.r.baseVal.value]));
      const apart = at.map(([x, y], i) => Math.hypot(x - at.at(i - 1)[0], y - at.at(i - 1)[1]) / (at[i][2] + at.at(i - 1)[2]));
      const over = apart.filter((times) => times < 0.8).length; // dots of members with small shares
      t.diagnostic(`${over} of ${count} dots lie over their neighbours`);
      assert.ok(over <= count / 5);
      for (const [state, id] of Object.entries(ill)) {
        assert.equal(await page.getAttribute(`.ring [data-member="${id}"]`, 'data-state'), state);
        assert.equal(await page.textContent(`.ring [data-member="${id}"] .name`), id);
      }
      assert.match(await page.textContent('#alive'), new RegExp(`^${count - 2} of ${count}$`));
      await page.waitForFunction((all) => document.querySelectorAll('.members tbody tr').length === all, count);
      const order = await page.locator('.members tbody tr').evaluateAll((rows) => rows.slice(0, 12).map((row) => row.dataset.member));
      assert.deepEqual(order, Array.from({ length: 12 }, (_, i) => `store-${i}`));
    });

    await t.test('names do not lie over each other, with and without a key', async () => {
      const texts = '.ring:not(.chord-ring) text:not(.sign)';
      assert.deepEqual(await clashes(page, texts), []);
      if (count === 50) assert.ok((await page.locator('.ring .member .name').count()) >= 45, 'nearly all are named');
      await page.click('#tab-Chord');
      await page.waitForFunction((all) => document.querySelectorAll('[data-chord-node]').length === all, count);
      for (const key of ['user-17', 'a/b', 'Ключ', 'orders/2026/10037']) {
        await page.fill('#key', key);
        await page.waitForFunction((typed) => document.querySelector('.chord-ring ~ p')?.textContent.includes(`'${typed}'`), key);
        await page.waitForSelector('.ring [data-replica="2"]');
        assert.deepEqual(await clashes(page, texts), [], key);
        assert.deepEqual(await clashes(page, '.chord-ring text'), [], `${key}, Chord`);
      }
      await browser.picture(page, `many-${count}-key`, { fullPage: true });
      await page.fill('#key', '');
    });

    await t.test('by keyboard: a member is found by its name, another one on the ring', async () => {
      await page.click('#tab-Members');
      await page.focus('.filter input');
      await page.keyboard.type('store-42');
      await page.waitForFunction(() => document.querySelectorAll('.members tbody tr').length === 1);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.ring [data-member="store-42"][aria-selected="true"]');
      assert.equal(await page.textContent('.ring [data-member="store-42"] .name'), 'store-42');
      await page.focus('svg.ring');
      await page.keyboard.press('End');
      const last = await page.getAttribute('.ring [aria-selected="true"]', 'data-member');
      await page.keyboard.press('ArrowRight');
      const first = await page.getAttribute('.ring [aria-selected="true"]', 'data-member');
      await page.keyboard.press('Home');
      assert.equal(await page.getAttribute('.ring [aria-selected="true"]', 'data-member'), first);
      assert.notEqual(first, last);
      assert.match(await page.textContent('.member-card'), new RegExp(first));
      await page.keyboard.press('Escape');
      await page.waitForSelector('.member-card', { state: 'detached' });
      await page.fill('.filter input', '');
      assert.deepEqual(await browser.barriers(page), []);
    });

    await t.test('it answers at once', async () => {
      for (const name of ['Members', 'Links', 'Timeline', 'Chord']) {
        await page.click(`#tab-${name}`);
        const { median, longest } = await redraws(page);
        t.diagnostic(`${count} members, ${name}: redrawn in ${median.toFixed(0)} ms, at most ${longest.toFixed(0)} ms`);
        assert.ok(median < kRedrawMost, `${name}: ${median} ms`);
      }
    });

    await t.test('which members hand keys over is told, of many when it is asked for', async () => {
      await page.click('#tab-Keys');
      if (count > 64) await page.click('#kv-handover button');
      await page.waitForSelector('[data-handover="store-3"][data-left="812"]');
      await page.waitForSelector('[data-handover="store-21"][data-left="64"]');
    });

    await t.test('in light and in dark', async () => {
      await page.click('#tab-Members');
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await browser.picture(page, `many-${count}-${colorScheme}`);
      }
    });

    await t.test('on a phone nothing is wider than the screen, and names do not lie over each other', async () => {
      const phone = await open({ viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
      for (const name of kPanels) {
        await phone.tap(`#tab-${name}`);
        if (name === 'Chord') await phone.waitForSelector('[data-chord-node]');
        const wide = await phone.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
      }
      await phone.tap('#tab-Chord');
      await phone.fill('#key', 'user-17');
      await phone.waitForSelector('.ring [data-replica="2"]');
      await phone.waitForSelector('.chord-ring .way path');
      for (const picture of ['.ring:not(.chord-ring)', '.chord-ring'])
        assert.deepEqual(await clashes(phone, `${picture} text:not(.sign)`), [], picture);
      await browser.picture(phone, `many-${count}-phone`, { fullPage: true });
      await phone.context().close();
      assert.deepEqual(browser.said, []);
    });
  });
}

after(() => browser.stop());

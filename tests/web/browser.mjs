// Headless Chromium, and what is looked at on every page. Ends the process with 77, "skipped", where there is none.
import { accessSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const kBrowser = process.env.CLUSTER_TEST_BROWSER ?? '/usr/bin/chromium';

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

export class Browser {
  said = []; // what the browser complains of
  asked = []; // the addresses it asked for

  /** `web`: where npm installed playwright-core; `pictures`: where screenshots go. */
  constructor(web, pictures) {
    this.web = web;
    this.pictures = pictures;
    try {
      accessSync(kBrowser);
    } catch {
      skip(`there is no ${kBrowser} (Debian's package chromium)`);
    }
    try {
      this.chromium = createRequire(`${web}/package.json`)('playwright-core').chromium;
    } catch {
      skip(`playwright-core is not installed in ${web}: the build had no npm, or could not reach its registry`);
    }
    mkdirSync(pictures, { recursive: true });
  }
  async start() {
    this.browser = await this.chromium.launch({ executablePath: kBrowser, args: ['--no-sandbox', '--disable-gpu'] });
  }
  async stop() {
    await this.browser?.close();
  }
  async open(url, options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1400, height: 950 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && this.said.push(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => this.said.push(String(error)));
    page.on('request', (request) => this.asked.push(request.url()));
    await page.goto(url);
    return page;
  }
  async signIn(page, token) {
    await page.fill('#token', token);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.ring .member');
  }
  picture(page, name, options = {}) {
    return page.screenshot({ path: `${this.pictures}/${name}.png`, ...options });
  }
  /** What would keep somebody out of the page as it is now. */
  async barriers(page) {
    await page.evaluate(readFileSync(`${this.web}/node_modules/axe-core/axe.min.js`, 'utf8'));
    const found = await page.evaluate(async () => (await globalThis.axe.run()).violations);
    return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' ')}`);
  }
}

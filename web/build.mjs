// Makes dist/: the page, one script and one style sheet, named after their contents.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { buildSync } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
cpSync('public', 'dist', { recursive: true });
const { metafile } = buildSync({
  entryPoints: { index: 'src/main.tsx', style: 'src/style.css' },
  outdir: 'dist/assets',
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome123', 'firefox120', 'safari17.5'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  logLevel: 'warning',
});
let page = readFileSync('index.html', 'utf8');
for (const [file, { entryPoint, bytes }] of Object.entries(metafile.outputs)) {
  page = page.replace(`/${entryPoint}`, `/assets/${basename(file)}`);
  console.log(`${file}: ${bytes} bytes`);
}
writeFileSync('dist/index.html', page);

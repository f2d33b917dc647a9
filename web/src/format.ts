const kUnits = ['', 'k', 'M', 'G', 'T', 'P'];

/** "1.2 k", "34 M": three digits at most. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return '–';
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < kUnits.length - 1) {
    value /= 1000;
    ++unit;
  }
  const digits = Number.isInteger(value) || Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
  const text = String(Number(value.toFixed(digits)));
  return unit === 0 ? text : `${text} ${kUnits[unit]}`;
}

export function bytes(value: number): string {
  const text = count(value);
  return /[a-zA-Z]$/.test(text) ? `${text}B` : `${text} B`;
}

export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(fraction < 0.0995 ? 2 : 1)} %`;
}

/** "4 s", "3 min", "2 h", "5 d". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 1) return 'just now';
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** "14:03:07" in the browser's time zone. */
export function clock(milliseconds: number): string {
  const date = new Date(milliseconds);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, '0')).join(':');
}

/** A name that others chose, with what would be invisible or turn the text around written out. */
export function plainName(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu, (mark) => `\\u{${mark.codePointAt(0)!.toString(16)}}`);
}

/** Names in the order in which one looks for them: n2 before n10. */
const collator = new Intl.Collator('en', { numeric: true });
export const byName = (a: string, b: string) => collator.compare(a, b);

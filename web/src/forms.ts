import type { Field } from './types';

/** How a field is asked for. */
export type Control = 'number' | 'flag' | 'text' | 'bytes' | 'struct' | 'json';

/** "int64", "uint32?" ask for a number, a struct for its fields, containers and unions for JSON. */
export function controlOf(field: Field): Control {
  const type = field.type.replace(/\?$/, '');
  if (/^u?int(8|16|32|64)$/.test(type) || /^float(32|64)?$|^double$/.test(type)) return 'number';
  if (type === 'bool') return 'flag';
  if (type === 'string' || type === 'node_id') return 'text';
  if (/^bytes(\(\d+\))?$/.test(type)) return 'bytes';
  if (field.fields?.length && /^[a-z_0-9]+$/.test(type)) return 'struct';
  return 'json';
}

const kSpans: Record<string, number> = { ms: 1, s: 1000, '': 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** As the command line takes a span: "500ms", "10" or "10s", "5m", "2h", "7d". Undefined: it is none. */
export function spanOf(text: string): number | undefined {
  const [, digits, unit] = /^ *(\d+) *(ms|[smhd]?) *$/.exec(text) ?? [];
  const span = Number(digits) * kSpans[unit!]!;
  return span > 0 && Number.isSafeInteger(span) ? span : undefined;
}

/** What was typed, by the path of the field ("point.x"). */
export type Typed = Record<string, string>;

/** The JSON text of a message. Numbers go as they were typed: JavaScript's would lose digits of an int64.
 *  Throws an Error with the field's name if what was typed does not fit. */
export function messageText(fields: Field[], typed: Typed, prefix = ''): string {
  const parts: string[] = [];
  for (const field of fields) {
    const path = prefix + field.name;
    const text = typed[path] ?? '';
    const control = controlOf(field);
    if (control === 'struct') {
      const inner = messageText(field.fields!, typed, `${path}.`);
      if (inner !== '{}') parts.push(`${JSON.stringify(field.name)}:${inner}`);
      continue;
    }
    if (text === '' && !(control === 'text' && path in typed)) continue;
    parts.push(`${JSON.stringify(field.name)}:${valueText(control, text, path)}`);
  }
  return `{${parts.join(',')}}`;
}

function valueText(control: Control, text: string, path: string): string {
  switch (control) {
    case 'number':
      if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text.trim())) return text.trim().replace(/^(-?)0+(?=\d)/, '$1');
      throw new Error(`${path} is not a number`);
    case 'flag':
      return text === 'true' ? 'true' : 'false';
    case 'json':
      try {
        JSON.parse(text);
      } catch {
        throw new Error(`${path} is not JSON`);
      }
      return text;
    case 'bytes':
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) throw new Error(`${path} is not base64`);
      return `{"$bytes":"${text}"}`;
    default:
      return JSON.stringify(text);
  }
}

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface Family {
  name: string;
  kind: string;
  help: string;
  samples: Sample[];
}

const kSample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const kLabel = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Families of the text format of Prometheus, in their order. */
export function parseMetrics(text: string): Family[] {
  const families = new Map<string, Family>();
  const family = (name: string): Family => {
    let found = families.get(name);
    if (!found) families.set(name, (found = { name, kind: 'untyped', help: '', samples: [] }));
    return found;
  };
  for (const line of text.split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      const of = family(comment[2]!);
      if (comment[1] === 'HELP') of.help = comment[3]!;
      else of.kind = comment[3]!;
      continue;
    }
    const sample = line.startsWith('#') ? null : kSample.exec(line);
    if (!sample) continue;
    const labels: Record<string, string> = {};
    for (const [, name, value] of (sample[2] ?? '').matchAll(kLabel))
      labels[name!] = value!.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
    family(sample[1]!).samples.push({ name: sample[1]!, labels, value: Number(sample[3]) });
  }
  return [...families.values()];
}

/** The sum over all samples of a family; undefined if there are none. */
export function total(families: Family[], name: string): number | undefined {
  const samples = families.find((family) => family.name === name)?.samples;
  return samples?.length ? samples.reduce((sum, sample) => sum + sample.value, 0) : undefined;
}

/** A counter's rate over time: what was counted since the last reading, for each second. */
export class Rate {
  private last?: { value: number; at: number };
  readonly series: number[] = [];

  constructor(private readonly kept = 90) {}

  /** `at` in milliseconds. A counter that fell began anew. */
  read(value: number, at: number): void {
    const last = this.last;
    this.last = { value, at };
    if (!last || at <= last.at) return;
    this.push(value < last.value ? 0 : ((value - last.value) * 1000) / (at - last.at));
  }
  push(value: number): void {
    this.series.push(value);
    if (this.series.length > this.kept) this.series.shift();
  }
  get now(): number | undefined {
    return this.series[this.series.length - 1];
  }
}

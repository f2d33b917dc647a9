import { useState } from 'preact/hooks';
import { bytes, count, percent } from '../format';
import { Spark } from '../spark';
import { type Series, useStore } from '../store';

interface Chart {
  title: string;
  series: [name: Series, label: string][];
  show: (value: number) => string;
}
const kCharts: Chart[] = [
  { title: 'Messages a second', series: [['messages_in', 'in'], ['messages_out', 'out']], show: (v) => count(Math.round(v)) },
  { title: 'Bytes a second', series: [['bytes_in', 'in'], ['bytes_out', 'out']], show: (v) => bytes(Math.round(v)) },
  { title: 'Probes a second', series: [['probes', 'sent'], ['probes_failed', 'failed']], show: (v) => v.toFixed(1) },
  { title: 'Gossip comparisons a second', series: [['digests_equal', 'equal'], ['digests_different', 'different']], show: (v) => v.toFixed(1) },
  { title: 'Processor', series: [['cpu', 'of one core']], show: percent },
  { title: 'Memory', series: [['memory', 'resident']], show: (v) => bytes(v) },
  { title: 'HTTP responses a second', series: [['http', 'sent']], show: (v) => v.toFixed(1) },
  { title: 'Waiting', series: [['queued', 'to be sent'], ['waiting', 'for servers']], show: (v) => bytes(v) },
];

export function MetricsPanel() {
  const store = useStore();
  const [filter, setFilter] = useState('');
  const found = store.metrics.filter((family) => family.name.includes(filter));
  return (
    <>
      <div class="charts">
        {kCharts.map((chart) => (
          <figure key={chart.title}>
            <figcaption>{chart.title}</figcaption>
            <Spark series={chart.series.map(([name]) => store.rate(name).series)} label={chart.title} />
            <p class="quiet">
              {chart.series.map(([name, label], i) => (
                <span key={name}>
                  <span class={`swatch curve-${i}`} aria-hidden="true" /> {label} <strong>{chart.show(store.rate(name).now ?? 0)}</strong>
                </span>
              ))}
            </p>
          </figure>
        ))}
      </div>
      <label class="filter">
        Show
        <input type="search" value={filter} placeholder="part of a name" onInput={(event) => setFilter(event.currentTarget.value)} />
      </label>
      <div class="scroll" role="region" aria-label="All metrics" tabIndex={0}>
        <table class="metrics-table">
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col" class="number">
                Value
              </th>
            </tr>
          </thead>
          <tbody>
            {found.flatMap((family) =>
              family.samples.map((sample) => (
                <tr key={sample.name + JSON.stringify(sample.labels)} title={family.help}>
                  <th scope="row">
                    {sample.name}
                    {Object.entries(sample.labels).map(([name, value]) => (
                      <small key={name}>
                        {' '}
                        {name}={value}
                      </small>
                    ))}
                  </th>
                  <td class="number">{sample.value.toLocaleString('en')}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
    </>
  );
}

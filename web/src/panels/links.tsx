import { byName, bytes, count } from '../format';
import { Spark } from '../spark';
import { useStore } from '../store';
import type { Link } from '../types';

/** What is down, and what waits, comes first. */
const urgency = (link: Link) => (!link.connected && link.keep === 'standing' ? 2 : link.queued_bytes > 0 ? 1 : 0);

export function LinksPanel() {
  const store = useStore();
  if (store.links.length === 0) return <p class="quiet">This node has no links: it is alone.</p>;
  const links = [...store.links].sort((a, b) => urgency(b) - urgency(a) || byName(a.id, b.id));
  return (
    <div class="scroll" role="region" aria-label="Links" tabIndex={0}>
      <table class="links-table">
        <caption class="quiet">The connections of {store.self}, and what waits for them</caption>
        <thead>
          <tr>
            <th scope="col">To</th>
            <th scope="col">Link</th>
            <th scope="col" class="number">
              In
            </th>
            <th scope="col" class="number">
              Out
            </th>
            <th scope="col" class="wide">
              <span class="sr-only">Over time</span>
            </th>
            <th scope="col" class="number">
              Queue
            </th>
          </tr>
        </thead>
        <tbody>
          {links.map((link, i) => {
            const rates = store.linkRates.get(link.id);
            const kind = link.connected ? 'alive' : link.keep === 'on_demand' ? 'stopped' : 'unreachable';
            return (
              <tr key={`${link.id} ${i}`} data-link={link.id} data-connected={link.connected}>
                <th scope="row">
                  {link.id}
                  {link.role === 'client' && <small> client</small>}
                </th>
                <td>
                  <span class={`state ${kind}`} title={link.last_error ?? undefined}>
                    {link.connected ? link.protection : link.keep === 'on_demand' ? 'on demand' : 'down'}
                  </span>
                  {!link.connected && link.dials_failed > 0 && <small> dialled {count(link.dials_failed)}×</small>}
                </td>
                <td class="number">{bytes(Math.round(rates?.in.now ?? 0))}/s</td>
                <td class="number">{bytes(Math.round(rates?.out.now ?? 0))}/s</td>
                <td class="wide">
                  {rates && <Spark series={[rates.in.series, rates.out.series]} label={`Traffic with ${link.id}`} />}
                </td>
                <td class="number">
                  {count(link.queued_messages)} <small>{link.queued_bytes > 0 ? bytes(link.queued_bytes) : ''}</small>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

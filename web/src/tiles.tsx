import { bytes, count, duration } from './format';
import { Spark } from './spark';
import { kAskAllMax, useStore } from './store';

/** What one wants to know first. */
export function Tiles() {
  const store = useStore();
  const members = store.ring?.members ?? [];
  const alive = members.filter((member) => store.stateOf(member.id) === 'alive').length;
  const late = store.status?.members.filter((member) => member.state !== 'same').length ?? 0;
  const quorum = store.metrics.find((family) => family.name === 'cluster_quorum')?.samples[0]?.value;
  const asked = store.statusAt > 0 && store.status ? duration(Date.now() - store.statusAt) : '';
  const links = store.links.filter((link) => link.connected && link.role === 'node').length;
  const queued = store.links.reduce((sum, link) => sum + link.queued_bytes, 0);
  return (
    <section class="tiles" aria-label="Summary">
      <div class={`tile ${alive < members.length ? 'bad' : 'good'}`}>
        <h2>Members alive</h2>
        <p class="figure" id="alive">
          {alive} <small>of {members.length}</small>
        </p>
        <p class="quiet">{quorum === 0 ? 'no quorum on this side' : quorum === 1 ? 'has its quorum' : ''}</p>
      </div>
      <div class={`tile ${store.status ? (late > 0 ? 'bad' : 'good') : ''}`}>
        <h2>Gossip</h2>
        <p class="figure" id="converged">
          {!store.status ? '–' : late > 0 ? `${late} behind` : 'converged'}
        </p>
        <p class="quiet">
          {members.length > kAskAllMax || (!store.status && store.ring) ? (
            <button type="button" class="link" onClick={() => void store.readStatus()}>
              ask all members
            </button>
          ) : (
            asked && (asked === 'just now' ? 'asked just now' : `asked ${asked} ago`)
          )}
        </p>
      </div>
      <div class="tile">
        <h2>Messages</h2>
        <p class="figure">
          {count(Math.round((store.rate('messages_in').now ?? 0) + (store.rate('messages_out').now ?? 0)))} <small>/s</small>
        </p>
        <Spark series={[store.rate('messages_in').series, store.rate('messages_out').series]} label="Messages a second" />
      </div>
      <div class="tile">
        <h2>Network</h2>
        <p class="figure">
          {bytes(Math.round((store.rate('bytes_in').now ?? 0) + (store.rate('bytes_out').now ?? 0)))} <small>/s</small>
        </p>
        <Spark series={[store.rate('bytes_in').series, store.rate('bytes_out').series]} label="Bytes a second" />
      </div>
      <div class={`tile ${queued > 1e6 ? 'bad' : ''}`}>
        <h2>Waiting to be sent</h2>
        <p class="figure">{bytes(queued)}</p>
        <p class="quiet">
          {links} {links === 1 ? 'link' : 'links'} to nodes
        </p>
      </div>
    </section>
  );
}

import { byName } from './format';
import { handoverText, isMoving } from './handover';
import { kAskAllMax, useStore } from './store';

/** Which members have keys to give or to get, and how far each is. */
export function Handovers() {
  const store = useStore();
  const moving = [...store.stores].filter(([, status]) => isMoving(status)).sort(([a], [b]) => byName(a, b));
  const left = moving.reduce((sum, [, status]) => sum + status.left, 0);
  const asked = store.stores.size;
  const all = store.ring?.members.length ?? 0;
  return (
    <section class="handovers" aria-label="Hand-over">
      <p class="quiet" id="kv-handover">
        {moving.length === 0
          ? `No keys are handed over${asked < all ? `, say ${asked} of ${all} members` : ''}.`
          : `Keys are on their way: ${left.toLocaleString('en')} to hand over.`}
        {asked < all && all > kAskAllMax && (
          <>
            {' '}
            <button type="button" class="link" onClick={() => void store.readStores(true)}>
              ask all members
            </button>
          </>
        )}
      </p>
      {moving.length > 0 && (
        <ul>
          {moving.map(([id, status]) => (
            <li key={id} data-handover={id} data-left={status.left} data-leaving={status.leaving}>
              <button type="button" class="name" aria-pressed={store.selected === id} onClick={() => store.select(id)}>
                {id}
              </button>
              {status.leaving && <LeavingBadge />}
              {store.mostLeft.has(id) && <Done most={store.mostLeft.get(id)!} left={status.left} id={id} />}
              <span class="what">{handoverText(status)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** How much of what it had to hand over is handed over. */
function Done({ most, left, id }: { most: number; left: number; id: string }) {
  return <progress max={Math.max(1, most)} value={most > 0 ? most - left : 1} aria-label={`Hand-over of ${id}`} />;
}

/** A member of weight 0: the ring gives it no keys any more. */
export function LeavingBadge() {
  return (
    <span class="state leaving">
      <span aria-hidden="true">→</span> leaving
    </span>
  );
}

import { wayOf } from './chord';
import { useStore } from './store';

/** A key, and who keeps it. */
export function KeyForm() {
  const store = useStore();
  const found = store.chordFound;
  const replicas = store.place?.replicas ?? [];
  return (
    <form class="key-form" onSubmit={(event) => event.preventDefault()}>
      <label for="key">Where is key</label>
      <input
        id="key"
        type="search"
        placeholder="type a key, such as user-17"
        autocomplete="off"
        spellcheck={false}
        value={store.key}
        onInput={(event) => void store.findKey(event.currentTarget.value)}
      />
      <output id="key-place" for="key" aria-live="polite">
        {store.placeError ||
          (replicas.length > 0 && (
            <>
              owner <strong>{replicas[0]!.id}</strong>
              {replicas.length > 1 && <>, copies at {replicas.slice(1).map((each) => each.id).join(', ')}</>}
            </>
          ))}
      </output>
      {(found || store.chordError) && (
        <output id="key-chord" for="key" aria-live="polite">
          {store.chordError ? (
            `Chord: ${store.chordError}`
          ) : (
            <>
              in Chord <strong>{found!.owner.id}</strong>, found by {wayOf(store.chordFrom, found!).join(' → ')}
            </>
          )}
        </output>
      )}
    </form>
  );
}

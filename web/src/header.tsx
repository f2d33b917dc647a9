import { useEffect, useState } from 'preact/hooks';
import { Logo } from './logo';
import { useStore } from './store';

const kThemes = ['auto', 'light', 'dark'] as const;
const kThemeKey = 'cluster.theme';

export function Header() {
  const store = useStore();
  const [theme, setTheme] = useState(localStorage.getItem(kThemeKey) ?? 'auto');
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme;
    localStorage.setItem(kThemeKey, theme);
  }, [theme]);
  const connection = { connecting: 'connecting', live: 'live', lost: 'no answer' }[store.connection];
  useEffect(() => {
    document.title = store.self ? `${store.self} · ${store.ring?.ring ?? 'no ring'} · libcluster` : 'libcluster';
  }, [store.self, store.ring?.ring]);
  return (
    <header>
      <h1>
        <Logo /> <span class="product">libcluster</span>
      </h1>
      <p class="where">
        <strong>{store.ring?.ring ?? (store.ring ? 'in no ring' : '…')}</strong>
        {store.self && (
          <>
            {' '}
            seen by <strong class="self">{store.self}</strong>
          </>
        )}
      </p>
      <span class={`pill ${store.connection}`} role="status">
        <span class="dot" aria-hidden="true" /> {connection}
      </span>
      <span class="spacer" />
      <label class="theme">
        <span class="sr-only">Colours</span>
        <select value={theme} onChange={(event) => setTheme(event.currentTarget.value)}>
          {kThemes.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {store.api.token && (
        <button type="button" onClick={() => store.forgetToken()}>
          Forget token
        </button>
      )}
    </header>
  );
}

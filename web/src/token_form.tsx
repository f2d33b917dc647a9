import { useRef } from 'preact/hooks';
import { Logo } from './logo';
import { useStore } from './store';

export function TokenForm() {
  const store = useStore();
  const token = useRef<HTMLInputElement>(null); // what is in it now, drawn or not
  return (
    <main class="token-page">
      <form
        class="card token-form"
        onSubmit={(event) => {
          event.preventDefault();
          store.useToken(token.current!.value);
        }}
      >
        <h1>
          <Logo /> libcluster
        </h1>
        <p>
          To show the cluster, this node wants its token. <code>cluster-cli token</code> prints it.
        </p>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          autofocus
          ref={token}
          aria-describedby="token-note"
          aria-invalid={store.tokenWasWrong}
        />
        {store.tokenWasWrong && (
          <p class="problem" role="alert">
            The node does not accept this token.
          </p>
        )}
        <button type="submit" class="primary">
          Show the cluster
        </button>
        <p id="token-note" class="quiet">
          It is kept for this tab alone and goes to this node alone. Without it: <a href="/api">what the node offers</a>.
        </p>
      </form>
    </main>
  );
}

import { useEffect, useState } from 'preact/hooks';
import { path } from '../api';
import { CallForm } from '../call_form';
import { poll } from '../command';
import { count } from '../format';
import { useStore } from '../store';
import type { Actor, ServerEvent } from '../types';

const kPeriod = 3000;

/** The servers of a node, asked again as long as they are shown. */
function useActors(node: string): { actors: Actor[]; problem: string } {
  const store = useStore();
  const [answer, setAnswer] = useState<{ actors: Actor[]; problem: string }>({ actors: [], problem: '' });
  useEffect(() => {
    let ended = false;
    let timer = 0;
    const ask = async () => {
      try {
        const isHere = node === '' || node === store.self;
        const actors = await (isHere ? store.api.get<Actor[]>('/v1/actors') : poll<Actor[]>(store.api, node, { name: 'actors' }));
        if (!ended) setAnswer({ actors, problem: '' });
      } catch (error) {
        if (!ended) setAnswer({ actors: [], problem: (error as Error).message });
      }
      if (!ended) timer = window.setTimeout(() => void ask(), kPeriod);
    };
    void ask();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [node]);
  return answer;
}

export function ActorsPanel() {
  const store = useStore();
  const [node, setNode] = useState('');
  const [server, setServer] = useState('');
  const [events, setEvents] = useState<ServerEvent[]>([]);
  const [problem, setProblem] = useState('');
  const { actors, problem: noActors } = useActors(node);
  const isHere = node === '' || node === store.self;
  const address = isHere ? server : `${server}@${node}`;
  useEffect(() => {
    setEvents([]);
    setProblem('');
    if (!server) return;
    let ended = false;
    store.api.get<ServerEvent[]>(path('v1', 'actors', address)).then(
      (found) => !ended && setEvents(found),
      (error: Error) => !ended && setProblem(error.message),
    );
    return () => {
      ended = true;
    };
  }, [address]);
  return (
    <>
      <label class="filter">
        Servers of
        <select id="actors-node" value={node || store.self} onChange={(event) => (setNode(event.currentTarget.value), setServer(''))}>
          {store.ring?.members.map((member) => (
            <option key={member.id} value={member.id}>
              {member.id}
              {member.id === store.self ? ' (this node)' : ''}
            </option>
          ))}
        </select>
      </label>
      {noActors && (
        <p class="problem" role="alert">
          {noActors}
        </p>
      )}
      <div class="scroll">
        <table class="actors-table">
          <thead>
            <tr>
              <th scope="col">Server</th>
              <th scope="col">Type</th>
              <th scope="col" class="number wide">
                Serial
              </th>
              <th scope="col" class="number">
                Mailbox
              </th>
            </tr>
          </thead>
          <tbody>
            {actors.map((actor) => (
              <tr key={actor.name} aria-current={server === actor.name ? 'true' : undefined}>
                <th scope="row">
                  <button
                    type="button"
                    class="name"
                    data-server={actor.name}
                    aria-pressed={server === actor.name}
                    onClick={() => setServer(actor.name)}
                  >
                    {actor.name}
                  </button>
                </th>
                <td>{actor.type}</td>
                <td class="number wide">{actor.serial}</td>
                <td class="number">{count(actor.waiting)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {server && !problem && <CallForm key={address} address={address} events={events} />}
    </>
  );
}

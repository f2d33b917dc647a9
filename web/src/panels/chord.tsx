import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api';
import { type ChordView, readChord, readChordRing } from '../chord';
import { ChordPicture } from '../chord_picture';
import { byName, count } from '../format';
import { useStore } from '../store';
import type { ChordGraph } from '../types';

const kPeriod = 2500;
const kRingPeriod = 10_000; // between two walks around a ring of few nodes
const kFew = 64;

interface Seen {
  node: string;
  view?: ChordView;
  problem: string;
}

/** The last walk around the ring that was answered, and why the last had no answer. */
interface Walk {
  whole?: ChordGraph;
  problem: string;
}

/** What a node knows of the overlay, asked again as long as it is shown; the whole ring now and then, and when the
 *  node's neighbours are others. */
function useChord(node: string): { seen: Seen; walk: Walk } {
  const { api } = useStore();
  const [seen, see] = useState<Seen>({ node, problem: '' });
  const [walk, setWalk] = useState<Walk>({ problem: '' });
  useEffect(() => {
    let ended = false;
    let timer = 0;
    let neighbours = '';
    let walkAt = 0;
    const ask = async () => {
      try {
        const view = await readChord(api, node);
        if (ended) return;
        see({ node, view, problem: '' });
        const now = [view.info.predecessor, ...view.successors.map((each) => each.id)].join(' ');
        if (view.info.member && (now !== neighbours || Date.now() > walkAt)) {
          let rest = kRingPeriod;
          try {
            const whole = await readChordRing(api, node);
            if (ended) return;
            setWalk({ whole, problem: '' });
            if (whole.nodes.length > kFew) rest *= 6;
            else if (!whole.complete) rest = 0; // it heals in seconds
          } catch (error) {
            if (ended) return;
            setWalk(({ whole }) => ({ whole, problem: (error as Error).message }));
          }
          neighbours = now;
          walkAt = Date.now() + rest;
        }
      } catch (error) {
        const isOff = error instanceof ApiError && error.code === 'no_server';
        const problem = isOff ? 'This node runs no Chord. Start it with cluster-node --chord.' : (error as Error).message;
        if (!ended) see({ node, problem });
      }
      if (!ended) timer = window.setTimeout(() => void ask(), kPeriod);
    };
    setWalk({ problem: '' });
    void ask();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [node]);
  return { seen: seen.node === node ? seen : { node, problem: '' }, walk };
}

/** What a walk did not find; '' if it found all. */
function missing({ whole, problem }: Walk): string {
  if (problem) return `The walk around the ring had no answer: ${problem}`;
  if (!whole || whole.complete) return '';
  return `Not the whole ring: the walk along the successors did not come around, and ended after ${count(whole.nodes.length)} ${
    whole.nodes.length === 1 ? 'node' : 'nodes'
  }.`;
}

/** Chord's view of the ring: the circle, the neighbours and the fingers of a node. */
export function ChordPanel() {
  const store = useStore();
  const { seen, walk } = useChord(store.chordNode);
  const { view, problem } = seen;
  const found = store.chordFound;
  const ids = [...new Set([store.self, ...(store.ring?.members.map((member) => member.id) ?? [])])].sort(byName);
  return (
    <>
      <label class="filter">
        Chord as known by
        <select id="chord-node" value={store.chordFrom} onChange={(event) => store.askChordOf(event.currentTarget.value)}>
          {ids.map((id) => (
            <option key={id} value={id}>
              {id}
              {id === store.self ? ' (this node)' : ''}
            </option>
          ))}
        </select>
      </label>
      {problem && (
        <p class="problem" id="chord-problem" role="alert">
          {problem}
        </p>
      )}
      {view && !view.info.member && (
        <p class="quiet" id="chord-problem">
          This node is in no Chord ring: <code>cluster-cli chord join HOST:PORT</code> enters one.
        </p>
      )}
      {view?.info.member && (
        <>
          <ChordPicture view={view} nodes={walk.whole?.nodes ?? []} />
          {missing(walk) && (
            <p class="quiet" id="chord-walk">
              {missing(walk)}
            </p>
          )}
          <p class="quiet">
            {found
              ? `'${found.key}' lies at ${found.identifier}; ${found.owner.id} owns it in Chord, found over ${count(found.hops)} ${found.hops === 1 ? 'node' : 'nodes'}.`
              : 'Type a key beside the ring: the way that Chord takes to its owner lights up here and there.'}
          </p>
          <dl class="chord-info">
            <dt>identifier</dt>
            <dd>
              <code>{view.info.identifier}</code> <small>{view.info.bits} bits of {view.info.hash}</small>
            </dd>
            <dt>predecessor</dt>
            <dd id="chord-predecessor">{view.info.predecessor ?? '–'}</dd>
            <dt>successors</dt>
            <dd id="chord-successors">{view.successors.map((each) => each.id).join(', ') || 'none: it is alone'}</dd>
          </dl>
          <div class="scroll" role="region" aria-label="Fingers" tabIndex={0}>
            <table class="fingers">
              <caption class="quiet">Finger table: the first node at or after each start, {view.info.id} + 2^(finger - 1)</caption>
              <thead>
                <tr>
                  <th scope="col">Finger</th>
                  <th scope="col">Node</th>
                  <th scope="col">Start</th>
                  <th scope="col" class="wide">
                    Identifier
                  </th>
                </tr>
              </thead>
              <tbody>
                {view.fingers.map((finger) => (
                  <tr key={finger.finger} data-finger={finger.finger} data-node={finger.id}>
                    <th scope="row">{finger.finger}</th>
                    <td>{finger.id}</td>
                    <td>
                      <Identifier text={finger.start} />
                    </td>
                    <td class="wide">
                      <Identifier text={finger.identifier} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </>
  );
}

/** The first digits tell nodes apart; the rest is there to be pointed at. */
function Identifier({ text }: { text: string }) {
  return <code title={text}>{text.length > 12 ? `${text.slice(0, 12)}…` : text}</code>;
}

import { useEffect, useRef, useState } from 'preact/hooks';
import { Header } from './header';
import { KeyForm } from './key_form';
import { MemberCard } from './member_card';
import { ActorsPanel } from './panels/actors';
import { ChordPanel } from './panels/chord';
import { EventsPanel } from './panels/events';
import { FilesPanel } from './panels/files';
import { KvPanel } from './panels/kv';
import { LinksPanel } from './panels/links';
import { MembersPanel } from './panels/members';
import { MetricsPanel } from './panels/metrics';
import { TimelinePanel } from './panels/timeline';
import { RingPicture } from './ring_picture';
import { useStore } from './store';
import { Tabs } from './tabs';
import { Tiles } from './tiles';
import { TokenForm } from './token_form';

export function App() {
  const store = useStore();
  if (store.needsToken) return <TokenForm />;
  const panels = [
    { name: 'Members', draw: () => <MembersPanel /> },
    { name: 'Links', draw: () => <LinksPanel /> },
    { name: 'Timeline', draw: () => <TimelinePanel /> },
    { name: 'Chord', draw: () => <ChordPanel /> },
    { name: 'Keys', draw: () => <KvPanel /> },
    { name: 'Files', draw: () => <FilesPanel /> },
    { name: 'Actors', draw: () => <ActorsPanel /> },
    { name: 'Events', draw: () => <EventsPanel /> },
    { name: 'Metrics', draw: () => <MetricsPanel /> },
  ];
  return (
    <>
      <a class="skip" href="#panels">
        Skip to the panels
      </a>
      <Header />
      <main>
        {store.connection === 'lost' && (
          <p class="banner" role="alert">
            This node does not answer. What you see is what was known last; the page tries again by itself.
          </p>
        )}
        <Tiles />
        <div class="columns">
          <section class="card ring-card" aria-label="Ring">
            <RingPicture />
            <KeyForm />
            <MemberCard />
          </section>
          <section class="card" id="panels" aria-label="Panels" tabIndex={-1}>
            <Tabs panels={panels} />
          </section>
        </div>
        <Announcer />
      </main>
    </>
  );
}

/** Tells a screen reader what changed about the members. */
function Announcer() {
  const store = useStore();
  const [text, setText] = useState('');
  const seen = useRef(-1);
  const last = store.events[store.events.length - 1];
  useEffect(() => {
    const known = seen.current;
    seen.current = last?.seq ?? 0;
    if (known < 0 || !last || last.seq <= known) return;
    const told = store.events.filter((event) => event.seq > known && event.id && event.state);
    if (told.length > 0) setText(told.map((event) => `${event.id} is ${event.state}`).join(', '));
  }, [last?.seq]);
  return (
    <p class="sr-only" role="status" aria-live="polite">
      {text}
    </p>
  );
}

import { duration, percent } from './format';
import { handoverText } from './handover';
import { LeavingBadge } from './handovers';
import { StateBadge } from './state_badge';
import { isLeaving, useStore } from './store';

/** The member that is chosen on the ring or in the list. */
export function MemberCard() {
  const store = useStore();
  const member = store.members.find((each) => each.id === store.selected);
  const onRing = store.ring?.members.find((each) => each.id === store.selected);
  if (!member && !onRing) return null;
  const place = (onRing ?? member)!;
  const link = store.links.find((each) => each.id === place.id);
  const keys = store.stores.get(place.id);
  const gossip = store.status?.members.find((each) => each.id === place.id)?.state;
  return (
    <section class="member-card" aria-label={`Member ${place.id}`}>
      <h2>
        {place.id} {member && <StateBadge state={member.state} />} {onRing && isLeaving(onRing) && <LeavingBadge />}
        <span class="spacer" />
        <button type="button" class="link" onClick={() => store.select(place.id)}>
          close
        </button>
      </h2>
      <dl>
        <dt>at</dt>
        <dd>
          {place.host}:{place.port}
        </dd>
        {member && (
          <>
            <dt>{member.state} for</dt>
            <dd>
              {duration(member.for_ms + Date.now() - store.membersAt)}
              {member.by && member.by !== store.self ? `, says ${member.by}` : ''}
            </dd>
            <dt>incarnation</dt>
            <dd>
              {member.incarnation} of boot {member.boot}
            </dd>
          </>
        )}
        {onRing && (
          <>
            <dt>weight</dt>
            <dd>
              {onRing.weight}, {percent(onRing.share)} of all keys
            </dd>
            {onRing.zone && (
              <>
                <dt>zone</dt>
                <dd>{onRing.zone}</dd>
              </>
            )}
          </>
        )}
        {link && (
          <>
            <dt>link</dt>
            <dd>{link.connected ? `connected, ${link.protection}` : link.keep === 'on_demand' ? 'on demand' : (link.last_error ?? 'down')}</dd>
          </>
        )}
        {keys && (
          <>
            <dt>its keys</dt>
            <dd>{handoverText(keys) || 'are all where they belong'}</dd>
          </>
        )}
        {gossip && (
          <>
            <dt>its ring</dt>
            <dd>{gossip === 'same' ? 'the same as here' : gossip}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';

export interface Panel {
  name: string;
  draw: () => ComponentChildren;
}

/** Tabs as the ARIA practices describe them: arrows, Home and End move between them. */
export function Tabs({ panels }: { panels: Panel[] }) {
  const [chosen, choose] = useState(panels[0]!.name);
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(0, panels.findIndex((panel) => panel.name === chosen));
  const go = (to: number) => {
    const next = panels[(to + panels.length) % panels.length]!;
    choose(next.name);
    list.current?.querySelector<HTMLElement>(`#tab-${next.name}`)?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: panels.length - 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    go(step);
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label="Panels" ref={list} onKeyDown={onKey}>
        {panels.map((panel, i) => (
          <button
            key={panel.name}
            type="button"
            role="tab"
            id={`tab-${panel.name}`}
            aria-selected={i === at}
            aria-controls="panel"
            tabIndex={i === at ? 0 : -1}
            onClick={() => choose(panel.name)}
          >
            {panel.name}
          </button>
        ))}
      </div>
      <div id="panel" class="panel" role="tabpanel" aria-labelledby={`tab-${panels[at]!.name}`}>
        {panels[at]!.draw()}
      </div>
    </>
  );
}

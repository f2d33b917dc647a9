import { useEffect, useRef } from 'preact/hooks';

const kRest = 250; // milliseconds without a key press after which a word is taken as typed

/** Does the last work that it is given, once no other came for a while; none when the component has gone. */
export function useLater(): (work: () => void) => void {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (work) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(work, kRest);
  };
}

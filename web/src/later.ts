import { useEffect, useState } from 'preact/hooks';

const kRest = 250; // milliseconds without a key press after which a word is taken as typed

/** What was typed, once nothing else came for a while. */
export function useRested<T>(typed: T): T {
  const [rested, rest] = useState(typed);
  useEffect(() => {
    const timer = setTimeout(() => rest(() => typed), kRest);
    return () => clearTimeout(timer);
  }, [typed]);
  return rested;
}

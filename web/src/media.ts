import { useEffect, useState } from 'preact/hooks';

export const kPhone = '(max-width: 640px)';
export const kZoomSmall = 1.6; // of the texts of pictures on a phone; style/small.css has the same

/** Whether a media query holds, now and whenever that changes. */
export function useMedia(query: string): boolean {
  const [holds, tell] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => tell(list.matches);
    list.addEventListener('change', changed);
    return () => list.removeEventListener('change', changed);
  }, [query]);
  return holds;
}

import { area, curveMonotoneX, line } from 'd3-shape';

const kWidth = 160;
const kHeight = 36;

const kPointsMin = 15; // fewer do not fill the width

/** Small curves over time with one scale, from 0; the last one is on top. */
export function Spark({ series, label }: { series: number[][]; label: string }) {
  const points = Math.max(kPointsMin, ...series.map((values) => values.length));
  const top = Math.max(1e-9, ...series.flat());
  const x = (i: number, of: number) => kWidth - (of - 1 - i) * (kWidth / (points - 1));
  const y = (value: number) => kHeight - 1.5 - (value / top) * (kHeight - 4);
  return (
    <svg class="spark" viewBox={`0 0 ${kWidth} ${kHeight}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {series.map((values, which) => {
        const at = (_: number, i: number) => x(i, values.length);
        const below = area<number>().x(at).y0(kHeight).y1(y).curve(curveMonotoneX).digits(1)(values);
        const curve = line<number>().x(at).y(y).curve(curveMonotoneX).digits(1)(values);
        return (
          <g key={which} class={`curve-${which}`}>
            <path class="below" d={below ?? ''} />
            <path class="curve" d={curve ?? ''} vector-effect="non-scaling-stroke" />
          </g>
        );
      })}
    </svg>
  );
}

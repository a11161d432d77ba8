const WIDTH = 96
const HEIGHT = 24

/** A small line of daily values; says nothing by itself, so the figure stands beside it. */
export function Sparkline({ values }: { values: readonly number[] }) {
  const max = Math.max(...values, 0)
  if (values.length < 2 || max === 0) {
    return (
      <svg width={WIDTH} height={HEIGHT} aria-hidden="true" className="text-line-strong">
        <line x1={0} x2={WIDTH} y1={HEIGHT - 2} y2={HEIGHT - 2} stroke="currentColor" strokeWidth={1.5} />
      </svg>
    )
  }
  const step = WIDTH / (values.length - 1)
  const points = values.map(
    (value, index) => `${(index * step).toFixed(1)},${(HEIGHT - 2 - (value / max) * (HEIGHT - 4)).toFixed(1)}`,
  )
  return (
    <svg width={WIDTH} height={HEIGHT} aria-hidden="true" className="text-accent">
      <polygon points={`0,${HEIGHT} ${points.join(' ')} ${WIDTH},${HEIGHT}`} fill="currentColor" opacity={0.12} />
      <polyline points={points.join(' ')} fill="none" stroke="currentColor" strokeWidth={1.5} strokeLinejoin="round" />
    </svg>
  )
}

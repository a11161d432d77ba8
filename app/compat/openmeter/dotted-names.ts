import { isExactNumber } from '@/libs/ingest/exact-number'

/** The property that tells of an event which names of its data have dots in them: as paths, a name each step. */
export const DOTTED_PROPERTY = '$dotted'
/** So much of it at most, that it takes no other property its room. What is longer is put together by the dots alone. */
const LONGEST = 2_000

type Data = Readonly<Record<string, unknown>>
export type Paths = ReadonlyMap<string, readonly string[]>

/** Where names with dots stand in the data of an event, as a text to be kept with it; null where there are none, or too many. */
export function describeDots(data: Data): string | null {
  const paths = findDotted(data, [])
  if (paths.length === 0) return null
  // However the fields were ordered, it is the same event.
  const text = `[${paths
    .map((path) => JSON.stringify(path))
    .sort()
    .join(',')}]`
  return text.length > LONGEST ? null : text
}

function findDotted(data: Data, above: readonly string[]): (readonly string[])[] {
  return Object.entries(data).flatMap(([name, value]) => {
    const path = [...above, name]
    if (typeof value === 'object' && value !== null && !isExactNumber(value))
      return Array.isArray(value) ? [] : findDotted(value as Data, path)
    return path.some((step) => step.includes('.')) ? [path] : []
  })
}

const isPath = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((step) => typeof step === 'string')

/** The steps of flat names that are not told by their dots; of two that are flat the same, those of the fewer steps. */
export function readDots(text: unknown): Paths | null {
  if (typeof text !== 'string') return null
  try {
    const paths: unknown = JSON.parse(text)
    if (!Array.isArray(paths) || !paths.every(isPath)) return null
    return new Map(paths.sort((a, b) => b.length - a.length).map((path) => [path.join('.'), path]))
  } catch {
    return null
  }
}

/** Where each wire keeps what of a customer there is no field for, within its metadata. */
const PLACES = ['openmeter', 'openmeter_subject', 'stripe'] as const
export type Place = (typeof PLACES)[number]
type Fields = Record<string, unknown>
export type KeptFields = Partial<Record<Place, Fields>>

/** The metadata of a customer: what is its own, and what the wires keep there, which none shows of another. */
export function readMetadata(metadata: unknown): { own: Fields; kept: KeptFields } {
  const own: Fields = { ...(metadata as Fields | null) }
  const kept: KeptFields = {}
  for (const place of PLACES) {
    const found = own[place]
    if (typeof found !== 'object' || found === null || Array.isArray(found)) continue
    kept[place] = found as Fields
    delete own[place]
  }
  return { own, kept }
}

/** The metadata of a customer with what the wires keep, where there is anything. */
export function joinMetadata(own: Readonly<Fields>, kept: KeptFields): Fields {
  return { ...own, ...Object.fromEntries(Object.entries(kept).filter(([, fields]) => Object.keys(fields).length > 0)) }
}

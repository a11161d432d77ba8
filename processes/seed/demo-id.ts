import { createHash } from 'node:crypto'

/** The id of a demo row by its name: a UUID version 8, the same in every tenant and at every run. */
export function demoId(name: string): string {
  const bytes = createHash('sha256').update(`holdfast demo\n${name}`).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A number from 0 to 1, always the same for the same name. */
export function demoRandom(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE() / 0xffff_ffff
}

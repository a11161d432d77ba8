import { KEY_PERMISSIONS, NOUNS, type Noun, type Permission } from '@/libs/auth/permissions'

export type KeyPreset = 'send' | 'read' | 'full' | 'custom'

const PRESETS: Readonly<Record<Exclude<KeyPreset, 'custom'>, readonly Permission[]>> = {
  send: KEY_PERMISSIONS.filter((permission) => permission === 'usage:read' || permission === 'usage:write'),
  read: KEY_PERMISSIONS.filter((permission) => permission.endsWith(':read')),
  full: KEY_PERMISSIONS,
}

/** The rights of a preset; null for the one that is chosen by hand. */
export function presetPermissions(preset: KeyPreset): readonly Permission[] | null {
  return preset === 'custom' ? null : PRESETS[preset]
}

export type PermissionRow = { noun: Noun; read: Permission | null; write: Permission | null }

/** The grid of what a key may hold: one row per noun, only what can be given at all. */
export const PERMISSION_ROWS: readonly PermissionRow[] = NOUNS.map((noun): PermissionRow => {
  const find = (verb: 'read' | 'write') =>
    KEY_PERMISSIONS.find((permission) => permission === `${noun}:${verb}`) ?? null
  return { noun, read: find('read'), write: find('write') }
}).filter((row) => row.read !== null || row.write !== null)

/** Ticks or unticks one right; writing brings reading along, and losing reading loses writing. */
export function togglePermission(chosen: readonly Permission[], permission: Permission, on: boolean): Permission[] {
  const [noun, verb] = permission.split(':')
  const next = new Set(chosen)
  const pair = KEY_PERMISSIONS.find((other) => other === `${noun}:${verb === 'read' ? 'write' : 'read'}`)
  if (on) {
    next.add(permission)
    if (verb === 'write' && pair) next.add(pair)
  } else {
    next.delete(permission)
    if (verb === 'read' && pair) next.delete(pair)
  }
  return KEY_PERMISSIONS.filter((each) => next.has(each))
}

export type KeyState = 'active' | 'disabled' | 'expiring' | 'expired' | 'revoked'

const SOON_MS = 7 * 86_400_000

/** The state of a key at a moment; it expires soon in its last seven days. */
export function keyState(
  key: { expires_at: string | null; revoked_at: string | null; disabled_at: string | null },
  now: number,
): KeyState {
  if (key.revoked_at !== null) return 'revoked'
  const left = key.expires_at === null ? Number.POSITIVE_INFINITY : new Date(key.expires_at).getTime() - now
  if (left <= 0) return 'expired'
  if (key.disabled_at !== null) return 'disabled'
  return left < SOON_MS ? 'expiring' : 'active'
}

// The role grid: deny by default, and a key never reaches further than whoever made it reaches today.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  KEY_PERMISSIONS,
  keyPermissions,
  NOUNS,
  PERMISSIONS,
  type Permission,
  ROLE_PERMISSIONS,
} from '@/libs/auth/permissions'

const roles = Object.keys(ROLE_PERMISSIONS) as (keyof typeof ROLE_PERMISSIONS)[]

describe('roles', () => {
  test('every noun is read and written by permissions of its name, and there are no others', () => {
    const named = [...NOUNS, 'portal'].flatMap((noun) => [`${noun}:read`, `${noun}:write`])
    expect([...PERMISSIONS].sort()).toEqual(named.sort())
    for (const role of roles) for (const permission of ROLE_PERMISSIONS[role]) expect(PERMISSIONS).toContain(permission)
  })

  test('whoever may write may read', () => {
    for (const role of roles)
      for (const permission of ROLE_PERMISSIONS[role])
        if (permission.endsWith(':write'))
          expect(ROLE_PERMISSIONS[role]).toContain(permission.replace(':write', ':read') as Permission)
  })

  test('compliance changes nothing', () => {
    expect(ROLE_PERMISSIONS.compliance.filter((permission) => permission.endsWith(':write'))).toEqual([])
    expect(ROLE_PERMISSIONS.compliance).toContain('audit-logs:read')
  })

  test('a member sees neither keys nor the record, and changes no tier, meter, key or colleague', () => {
    const forbidden: Permission[] = [
      'api-keys:read',
      'audit-logs:read',
      'tiers:write',
      'meters:write',
      'members:write',
      'tenants:write',
      'usage:write',
    ]
    for (const permission of forbidden) expect(ROLE_PERMISSIONS.member).not.toContain(permission)
  })

  test('a customer holds the portal and nothing else', () => {
    expect(ROLE_PERMISSIONS.customer).toEqual(['portal:read', 'portal:write'])
  })

  test('nobody writes the record or sends the outbox', () => {
    for (const role of roles)
      for (const permission of ['audit-logs:write', 'outbox:write', 'outbox:read'] as const)
        expect(ROLE_PERMISSIONS[role]).not.toContain(permission)
  })
})

describe('keys', () => {
  test('no key manages people, keys or the tenant itself', () => {
    for (const permission of [
      'members:write',
      'api-keys:write',
      'tenants:write',
      'audit-logs:write',
      'portal:read',
    ] as const)
      expect(KEY_PERMISSIONS).not.toContain(permission)
  })

  test('effective right = granted ∩ what the creator’s role holds now', () => {
    fc.assert(
      fc.property(fc.subarray([...PERMISSIONS]), fc.constantFrom(...roles), (granted, role) => {
        const effective = keyPermissions(granted, role)
        for (const permission of effective) {
          expect(granted).toContain(permission)
          expect(ROLE_PERMISSIONS[role]).toContain(permission)
        }
        for (const permission of granted)
          expect(effective.includes(permission)).toBe(ROLE_PERMISSIONS[role].includes(permission))
      }),
    )
  })

  test.each([null, '', 'superuser', 'toString', '__proto__', 'constructor'])(
    'a creator whose role is %j leaves nothing',
    (role) => {
      expect(keyPermissions([...PERMISSIONS], role)).toEqual([])
    },
  )
})

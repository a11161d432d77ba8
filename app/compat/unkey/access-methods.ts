import { z } from 'zod'
import {
  addRecord,
  findRecord,
  keepRecord,
  listRecords,
  readRecords,
} from '@/features/compatibility/services/compat-record-service'
import {
  createKeyRole,
  deleteKeyRole,
  findKeyRoles,
  forgetPermission,
  getKeyRole,
  type KeyRole,
  listKeyRoles,
  setRolePermissions,
} from '@/features/customer-keys/services/key-role-service'
import { changeKeyWords, type WordChange } from '@/features/customer-keys/services/key-words-service'
import { encodeCursor, isAnyText, readCursor } from '@/libs/api-utils/page'
import { readJson } from '@/libs/api-utils/read-json'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { AppError, notFound, orNull } from '@/libs/errors'
import { livingKey } from './living-key'
import { toPagination, type UnkeyBody, unkeyRoute } from './unkey-route'

const WRITE = { permission: 'customer-keys:write' } as const
const READ = { permission: 'customer-keys:read' } as const

const word = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\s()]+$/, 'has no spaces and no parentheses')
const words = z.array(word).max(200)
const description = z.string().max(2_000).optional()
const page = {
  limit: z.number().int().min(1).max(100).default(100),
  cursor: z.string().max(1_000).optional(),
  search: z.string().max(255).optional(),
}

type PermissionData = { name?: string; description?: string }

/** Permissions as the wire has them, by slug; what was never written down is its own name. */
async function toPermissions(slugs: readonly string[]) {
  const known = await readRecords('permission', slugs)
  return [...slugs].sort().map((slug) => toPermission(slug, known.get(slug)))
}

function toPermission(slug: string, { name, description }: PermissionData = {}) {
  return { id: slug, name: name ?? slug, slug, ...(description ? { description } : {}) }
}

/** Roles as the wire has them, with what they permit; one that was never written down is its own name. */
async function toRoles(roles: readonly (KeyRole | string)[]) {
  const slugs = roles.flatMap((role) => (typeof role === 'string' ? [] : role.permissions))
  const known = new Map((await toPermissions([...new Set(slugs)])).map((permission) => [permission.slug, permission]))
  return roles.map((role) =>
    typeof role === 'string'
      ? { id: role, name: role }
      : {
          id: role.id,
          name: role.name,
          ...(role.description ? { description: role.description } : {}),
          permissions: [...role.permissions].sort().map((slug) => known.get(slug)),
        },
  )
}

async function toNamedRoles(names: readonly string[]) {
  const known = await findKeyRoles(names)
  return toRoles([...names].sort().map((name) => known.get(name) ?? name))
}

const permissionsBody = z.strictObject({ key_id: z.string().min(1).max(255), permissions: words })
const rolesBody = z.strictObject({ key_id: z.string().min(1).max(255), roles: words })

const changePermissions = (operation: WordChange['operation']) =>
  unkeyRoute(async (request) => {
    const { key_id, permissions } = await readJson(request, permissionsBody)
    const { id } = await livingKey(key_id)
    const row = await changeKeyWords(id, { field: 'permissions', operation, words: permissions })
    return { data: await toPermissions(row.permissions) }
  }, WRITE)

const changeRoles = (operation: WordChange['operation']) =>
  unkeyRoute(async (request) => {
    const { key_id, roles } = await readJson(request, rolesBody)
    const { id } = await livingKey(key_id)
    // The wire may say a role by its id.
    const names = await Promise.all(roles.map(roleName))
    const row = await changeKeyWords(id, { field: 'roles', operation, words: names })
    return { data: await toNamedRoles(row.roles) }
  }, WRITE)

async function roleName(reference: string): Promise<string> {
  return (await orNull(getKeyRole(reference)))?.name ?? reference
}

/** One page of what was fetched with one more than fits. */
function toPage<Row>(rows: readonly Row[], limit: number, nameOf: (row: Row) => string, data: unknown[]): UnkeyBody {
  const last = rows[limit - 1]
  const more = rows.length > limit && last !== undefined
  return { data, pagination: toPagination(more ? encodeCursor([nameOf(last)]) : null) }
}

const after = (cursor: string | undefined): string | null => readCursor(cursor, isAnyText)[0]

const permissionBody = z.strictObject({ name: z.string().min(1).max(512), slug: word, description })
const permissionRef = z.strictObject({ permission: z.string().min(1).max(255) })
const roleBody = z.strictObject({ name: word, description, permissions: words.default([]) })
const roleRef = z.strictObject({ role: z.string().min(1).max(255) })

async function writtenPermission(request: Request) {
  const { permission } = await readJson(request, permissionRef)
  const record = await findRecord('permission', permission)
  if (!record) throw notFound()
  return record
}

/** What a key may: permissions and roles of keys, and those that are written down by themselves. */
export const ACCESS_METHODS: readonly (readonly [string, RouteHandler])[] = [
  ['keys.addPermissions', changePermissions('add')],
  ['keys.removePermissions', changePermissions('remove')],
  ['keys.setPermissions', changePermissions('set')],
  ['keys.addRoles', changeRoles('add')],
  ['keys.removeRoles', changeRoles('remove')],
  ['keys.setRoles', changeRoles('set')],
  [
    'permissions.createPermission',
    unkeyRoute(async (request) => {
      const { slug, ...data } = await readJson(request, permissionBody)
      if (!(await addRecord('permission', slug, data)))
        throw new AppError('conflict', `A permission with the slug ${slug} exists already.`)
      return { data: { permissionId: slug } }
    }, WRITE),
  ],
  [
    'permissions.getPermission',
    unkeyRoute(async (request) => {
      const { key, data } = await writtenPermission(request)
      return { data: toPermission(key, data) }
    }, READ),
  ],
  [
    'permissions.listPermissions',
    unkeyRoute(async (request) => {
      const { limit, cursor, search } = await readJson(request, z.strictObject(page))
      const rows = await listRecords('permission', { after: after(cursor) ?? undefined, limit: limit + 1, search })
      const shown = rows.slice(0, limit).map(({ key, data }) => toPermission(key, data))
      return toPage(rows, limit, ({ key }) => key, shown)
    }, READ),
  ],
  [
    'permissions.deletePermission',
    unkeyRoute(async (request) => {
      const { key } = await writtenPermission(request)
      await keepRecord('permission', key, null)
      await forgetPermission(key)
      return { data: {} }
    }, WRITE),
  ],
  [
    'permissions.createRole',
    unkeyRoute(async (request) => {
      const { name, description, permissions } = await readJson(request, roleBody)
      const role = await createKeyRole({ name, description: description ?? '', permissions: [...new Set(permissions)] })
      return { data: { roleId: role.id } }
    }, WRITE),
  ],
  [
    'permissions.getRole',
    unkeyRoute(async (request) => {
      const role = await getKeyRole((await readJson(request, roleRef)).role)
      return { data: (await toRoles([role]))[0] }
    }, READ),
  ],
  [
    'permissions.listRoles',
    unkeyRoute(async (request) => {
      const { limit, cursor, search } = await readJson(request, z.strictObject(page))
      const rows = await listKeyRoles({ after: after(cursor), limit: limit + 1, search: search ?? null })
      const shown = await toRoles(rows.slice(0, limit))
      return toPage(rows, limit, ({ name }) => name, shown)
    }, READ),
  ],
  [
    'permissions.setRolePermissions',
    unkeyRoute(async (request) => {
      const body = z.strictObject({ role_id: z.string().min(1).max(255), permissions: words })
      const { role_id, permissions } = await readJson(request, body)
      const role = await setRolePermissions(role_id, [...new Set(permissions)])
      return { data: await toPermissions(role.permissions) }
    }, WRITE),
  ],
  [
    'permissions.deleteRole',
    unkeyRoute(async (request) => {
      await deleteKeyRole((await readJson(request, roleRef)).role)
      return { data: {} }
    }, WRITE),
  ],
]

/**
 * What a form that edits changed, for a PATCH: only this is sent, so that who saves undoes nothing that somebody else
 * changed in other fields since the form was opened. Both sides are bodies of the same making.
 * @example changedFields({ name: 'Pro', unit: 's' }, { name: 'Basic', unit: 's' }) // { name: 'Pro' }
 */
export function changedFields<Body extends Record<string, unknown>>(
  now: Body,
  before: { [Key in keyof Body]: unknown },
): Partial<Body> {
  const changed = Object.entries(now).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key]))
  return Object.fromEntries(changed) as Partial<Body>
}

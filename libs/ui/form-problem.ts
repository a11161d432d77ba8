import type { FieldValues, Path, UseFormReturn } from 'react-hook-form'
import type { ApiProblem } from '@/libs/ui/api-client'

/** `/usage_caps/0/limit` or `#/name` as the path of a form field: `usage_caps.0.limit`, `name`. */
export function pointerToPath(pointer: string): string {
  return pointer
    .replace(/^#?\/?/, '')
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.')
}

/**
 * Puts the `errors[]` of a problem onto the fields of a form and the focus on the first of them.
 * Returns what fitted no field, to be shown above the form.
 */
export function applyProblem<Values extends FieldValues>(form: UseFormReturn<Values>, problem: ApiProblem): string[] {
  const rest: string[] = []
  let focused = false
  for (const error of problem.errors) {
    const path = pointerToPath(error.pointer)
    const known = path !== '' && form.getFieldState(path as Path<Values>) && hasField(form, path)
    if (!known) {
      rest.push(path ? `${path}: ${error.detail}` : error.detail)
      continue
    }
    form.setError(path as Path<Values>, { type: problem.code, message: error.detail }, { shouldFocus: !focused })
    focused = true
  }
  return rest
}

function hasField<Values extends FieldValues>(form: UseFormReturn<Values>, path: string): boolean {
  return form.control._names.mount.has(path as never)
}

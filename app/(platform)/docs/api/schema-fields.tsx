import { Fragment } from 'react'
import { t } from '@/libs/ui/messages'
import {
  describeLimits,
  describeType,
  type OpenApiDocument,
  readAlternatives,
  resolveSchema,
  type Schema,
} from './openapi-document'
import { withCode } from './rich-text'

const DEEPEST = 4

type FieldsProps = {
  document: OpenApiDocument
  schema: Schema
  /** Marks members that must be sent; off for answers, where nearly all are always there. */
  marksRequired: boolean
  depth?: number
}

/** The members of a schema; nested objects open on demand. A value that is no object is one line. */
export function SchemaFields({ document, schema, marksRequired, depth = 0 }: FieldsProps) {
  const { schemas } = readAlternatives(document, schema)
  const shown = schemas.length > 0 ? schemas : [schema]
  return shown.map((one, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: alternatives have no name; their place is their identity
    <Fragment key={index}>
      {shown.length > 1 ? (
        <p className="mt-3 font-medium text-mute text-sm">
          {t('docs.api.alternative', { number: index + 1, count: shown.length })}
        </p>
      ) : null}
      <Alternative document={document} schema={one} marksRequired={marksRequired} depth={depth} />
    </Fragment>
  ))
}

function Alternative({ document, schema, marksRequired, depth = 0 }: FieldsProps) {
  // What is never taken is there for a better refusal, and nothing to send.
  const entries = Object.entries(schema.properties ?? {}).filter(([, member]) => member.not === undefined)
  const nested = entries.length > 0 ? null : nestedOf(document, schema)
  if (entries.length === 0) {
    return (
      <>
        <p className="mt-2 font-mono text-mute text-sm">{describeType(document, schema)}</p>
        {nested && depth < DEEPEST ? (
          <SchemaFields document={document} schema={nested} marksRequired={marksRequired} depth={depth + 1} />
        ) : null}
      </>
    )
  }
  return (
    <ul className="mt-2 divide-y rounded-lg border bg-surface">
      {entries.map(([name, member]) => (
        <Field
          key={name}
          document={document}
          name={name}
          schema={member}
          required={marksRequired && (schema.required?.includes(name) ?? false)}
          marksRequired={marksRequired}
          depth={depth}
        />
      ))}
    </ul>
  )
}

/** One named value: its type, limits, meaning, and what is inside of it. */
export function Field({
  document,
  name,
  schema,
  required,
  marksRequired,
  description = resolveSchema(document, schema).description,
  depth = 0,
}: FieldsProps & { name: string; required: boolean; description?: string }) {
  const nested = nestedOf(document, schema)
  const limits = describeLimits(document, schema)
  return (
    <li className="px-4 py-2.5 text-sm">
      <p className="flex flex-wrap items-baseline gap-x-2.5 gap-y-0.5">
        <code className="break-all font-medium font-mono text-ink">{name}</code>
        <span className="break-words font-mono text-mute text-xs">
          {[describeType(document, schema), limits].filter(Boolean).join(' · ')}
        </span>
        {required ? <span className="font-medium text-accent-text text-xs">{t('docs.api.required')}</span> : null}
      </p>
      {description ? <p className="mt-1 text-mute">{withCode(description)}</p> : null}
      {nested && depth < DEEPEST ? (
        <details className="mt-1.5">
          <summary className="w-fit cursor-pointer rounded-sm py-1 text-accent-text text-xs">
            {t('docs.api.members', { name })}
          </summary>
          <SchemaFields document={document} schema={nested} marksRequired={marksRequired} depth={depth + 1} />
        </details>
      ) : null}
    </li>
  )
}

/** The object inside of a value: itself, the entries of an array, or the values of a map; null when there is none. */
function nestedOf(document: OpenApiDocument, schema: Schema, depth = 0): Schema | null {
  if (depth > DEEPEST) return null
  for (const one of readAlternatives(document, schema).schemas) {
    if (one.properties && Object.keys(one.properties).length > 0) return schema
    if (one.items) return nestedOf(document, one.items, depth + 1)
    if (typeof one.additionalProperties === 'object') return nestedOf(document, one.additionalProperties, depth + 1)
  }
  return null
}

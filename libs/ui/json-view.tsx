import { CodeBlock } from '@/libs/ui/code-snippet'
import { CopyButton } from '@/libs/ui/copy-button'
import { t } from '@/libs/ui/messages'

/**
 * A value as indented JSON, to be read and copied.
 * @example <JsonView label="Properties" value={event.properties} />
 */
export function JsonView({ label, value }: { label: string; value: unknown }) {
  const text = JSON.stringify(value, null, 2) ?? 'null'
  return (
    <div className="min-w-0 overflow-hidden rounded-lg border bg-sunken">
      <div className="flex items-center justify-between gap-3 border-b py-1 pr-1.5 pl-4">
        <span className="font-medium text-mute text-xs">{label}</span>
        <CopyButton value={text} label={t('ui.copyNamed', { name: label })} />
      </div>
      <CodeBlock code={text} language="json" label={label} />
    </div>
  )
}

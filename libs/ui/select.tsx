'use client'

import { Select as Base } from '@base-ui/react/select'
import { Check, ChevronsUpDown } from 'lucide-react'
import type { ReactNode, Ref } from 'react'
import { cx } from '@/libs/ui/cx'
import { useFieldControl } from '@/libs/ui/field'
import { controlClass } from '@/libs/ui/input'
import { popupClass, popupItemClass } from '@/libs/ui/popup'

export type SelectOption<Value extends string = string> = {
  value: Value
  label: string
  /** A second, quieter line. */
  description?: string
  icon?: ReactNode
  disabled?: boolean
}

export type SelectProps<Value extends string> = {
  options: ReadonlyArray<SelectOption<Value>>
  value: Value | null
  onValueChange: (value: Value) => void
  placeholder?: string
  disabled?: boolean
  onBlur?: () => void
  /** The trigger, for focus. */
  ref?: Ref<HTMLButtonElement>
  size?: 'sm' | 'md'
  className?: string
  /** Needed outside of a Field. */
  'aria-label'?: string
}

/**
 * One of a few options; for many use a searchable list.
 * @example <Field label="Role"><Select options={roles} value={role} onValueChange={setRole} /></Field>
 */
export function Select<Value extends string>({
  options,
  value,
  onValueChange,
  placeholder,
  disabled,
  onBlur,
  ref,
  size = 'md',
  className,
  'aria-label': label,
}: SelectProps<Value>) {
  const { labelId, id, ...aria } = useFieldControl()
  return (
    <Base.Root
      items={options}
      value={value}
      onValueChange={(next) => {
        if (next !== null) onValueChange(next as Value)
      }}
      disabled={disabled}
      id={id}
      modal={false}
    >
      <Base.Trigger
        {...aria}
        ref={ref}
        aria-label={label}
        aria-labelledby={label ? undefined : labelId}
        onBlur={onBlur}
        className={cx(
          controlClass,
          'flex items-center justify-between gap-2 pr-2 text-left data-popup-open:border-focus',
          size === 'sm' ? 'h-7 px-2 text-xs pointer-coarse:h-9' : 'h-8.5 pointer-coarse:h-10',
          className,
        )}
      >
        <Base.Value placeholder={placeholder} className="truncate data-placeholder:text-faint" />
        <Base.Icon className="text-faint">
          <ChevronsUpDown className="size-3.5" />
        </Base.Icon>
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner sideOffset={4} alignItemWithTrigger={false} className="z-50 outline-none">
          <Base.Popup
            className={cx(
              popupClass,
              'scrollbar-thin max-h-[min(var(--available-height),22rem)] min-w-(--anchor-width) max-w-[min(26rem,92vw)] overflow-y-auto p-1',
            )}
          >
            {options.map((option) => (
              <Base.Item key={option.value} value={option.value} disabled={option.disabled} className={popupItemClass}>
                {option.icon}
                <span className="min-w-0 flex-1">
                  <Base.ItemText>{option.label}</Base.ItemText>
                  {option.description ? <span className="block text-faint text-xs">{option.description}</span> : null}
                </span>
                <Base.ItemIndicator className="text-accent-text">
                  <Check />
                </Base.ItemIndicator>
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

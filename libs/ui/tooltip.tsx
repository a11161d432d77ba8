'use client'

import { Tooltip as Base } from '@base-ui/react/tooltip'
import { Info } from 'lucide-react'
import type { ReactElement, ReactNode } from 'react'
import { Popover } from '@/libs/ui/popover'

/**
 * A short remark at something that can have the focus. Never the only place of something one must know.
 * @example <Tooltip content="Copies the id"><IconButton … /></Tooltip>
 */
export function Tooltip({ content, children }: { content: ReactNode; children: ReactElement }) {
  return (
    <Base.Root>
      <Base.Trigger delay={300} render={children} />
      <Base.Portal>
        <Base.Positioner sideOffset={6} collisionPadding={8} className="z-50">
          <Base.Popup className="max-w-72 rounded-md bg-ink px-2 py-1 text-canvas text-xs shadow-pop transition-opacity duration-100 data-ending-style:opacity-0 data-instant:duration-0 data-starting-style:opacity-0">
            {content}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

/**
 * An explanation behind a small "i"; opens by click, so it works by touch and keyboard.
 * @example <InfoTip label="About caps">A cap counts from the first of the month.</InfoTip>
 */
export function InfoTip({ label, children }: { label: string; children: ReactNode }) {
  return (
    <Popover
      label={label}
      className="max-w-80 text-mute text-sm"
      trigger={
        <button
          type="button"
          aria-label={label}
          className="inline-flex size-6 items-center justify-center rounded-full align-middle text-faint hover:text-ink"
        >
          <Info className="size-3.5" />
        </button>
      }
    >
      {children}
    </Popover>
  )
}

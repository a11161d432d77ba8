'use client'

import { Plus } from 'lucide-react'
import { Banner } from '@/libs/ui/banner'
import { Button } from '@/libs/ui/button'
import { t } from '@/libs/ui/messages'

/** Keys that tiers use and no feature has: each may be named with one click. Nothing when there is none. */
export function UnnamedKeys({ keys, onName }: { keys: readonly string[]; onName: (key: string) => void }) {
  if (keys.length === 0) return null
  return (
    <Banner tone="info" className="mb-4" title={t('features.unnamed.title', { count: keys.length })}>
      <p>{t('features.unnamed.description')}</p>
      <ul className="mt-2 flex flex-wrap gap-2">
        {keys.map((key) => (
          <li key={key} className="min-w-0 max-w-full">
            <Button size="sm" icon={<Plus />} onClick={() => onName(key)} className="max-w-full">
              <span className="sr-only">{t('features.unnamed.name')} </span>
              <span className="truncate font-mono">{key}</span>
            </Button>
          </li>
        ))}
      </ul>
    </Banner>
  )
}

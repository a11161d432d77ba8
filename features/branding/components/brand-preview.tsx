import { CircleCheck, Wand2 } from 'lucide-react'
import type { CSSProperties } from 'react'
import { type BrandTokens, brandTokens, contrast, requireHex } from '@/libs/ui/color'
import { t } from '@/libs/ui/messages'
import { UsageBar } from '@/libs/ui/usage-bar'

/** How the portal looks with these colours, in the present scheme, before they are saved. */
export function BrandPreview({ name, primary, accent }: { name: string; primary: string; accent: string }) {
  const tokens = brandTokens(primary)
  if (!tokens) return null
  return (
    <section aria-label={t('settings.branding.preview')} className="flex flex-col gap-3">
      <p className="font-medium text-sm">{t('settings.branding.preview')}</p>
      <div className="dark:hidden">
        <MiniPortal name={name} tokens={tokens.light} accent={accent} />
      </div>
      <div className="hidden dark:block">
        <MiniPortal name={name} tokens={tokens.dark} accent={accent} />
      </div>
      <ContrastReport primary={primary} />
    </section>
  )
}

function MiniPortal({ name, tokens, accent }: { name: string; tokens: BrandTokens; accent: string }) {
  return (
    <div style={tokens as CSSProperties} className="overflow-hidden rounded-lg border bg-canvas" inert>
      <div className="h-1" style={{ background: accent }} />
      <div className="flex items-center gap-2.5 border-b bg-surface px-4 py-2.5">
        <span className="flex size-7 items-center justify-center rounded-md bg-(--brand) font-semibold text-(--brand-ink) text-xs">
          {name.trim().charAt(0).toUpperCase()}
        </span>
        <span className="min-w-0 flex-1 truncate font-semibold text-sm">{name}</span>
        <span className="text-accent-text text-xs underline underline-offset-3">
          {t('settings.branding.sample_link')}
        </span>
      </div>
      <div className="flex flex-col gap-4 p-4">
        <div className="flex items-center justify-between gap-3">
          <span className="rounded-full bg-accent-soft px-2 py-0.5 font-medium text-accent-text text-xs">
            {t('settings.branding.sample_tier')}
          </span>
          <span className="rounded-md bg-accent px-3 py-1.5 font-medium text-accent-ink text-sm">
            {t('settings.branding.sample_button')}
          </span>
        </div>
        <UsageBar label={t('settings.branding.sample_meter')} used={640} cap={1000} />
      </div>
    </div>
  )
}

function ContrastReport({ primary }: { primary: string }) {
  const tokens = brandTokens(primary)
  if (!tokens) return null
  const given = primary.trim().toLowerCase()
  return (
    <ul className="flex flex-col gap-1.5 text-sm">
      {(['light', 'dark'] as const).map((scheme) => {
        const token = tokens[scheme]
        const ratio = contrast(requireHex(token['--accent']), requireHex(token['--accent-ink']))
        const kept = token['--accent'] === given && (scheme === 'dark' || token['--accent-text'] === given)
        return (
          <li key={scheme} className="flex items-start gap-2">
            {kept ? (
              <CircleCheck aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-success-text" />
            ) : (
              <Wand2 aria-hidden="true" className="mt-0.5 size-4 shrink-0 text-info-text" />
            )}
            <span>
              <span className="font-medium">{t(`settings.branding.scheme_${scheme}`)}</span>{' '}
              {t(kept ? 'settings.branding.contrast_kept' : 'settings.branding.contrast_adjusted', {
                ratio: ratio.toFixed(1),
                button: token['--accent'],
                text: token['--accent-text'],
              })}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

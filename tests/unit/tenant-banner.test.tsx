import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test } from 'vitest'
import { TenantBanner } from '@/features/overview/components/tenant-banner'
import { t } from '@/libs/ui/messages'

test('a tenant being set up says who opens it: its first event, or an operator', () => {
  const draw = (opensItself: boolean) => {
    const props = { tenant: { slug: 'new', status: 'pending' }, role: 'owner', opensItself } as const
    return renderToStaticMarkup(<TenantBanner {...props} />)
  }
  expect(draw(true)).toContain(t('overview.banner.pending'))
  expect(draw(false)).not.toContain('by itself')
  expect(draw(false)).toContain('operators opens it')
})

import { globSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type MailBrand, renderMail } from '@/libs/mail/templates'

const brand: MailBrand = { name: 'Acme & Söhne', primary_color: '#ffdd00', support_url: 'https://acme.test/help' }
const invitation = { url: 'https://acme.holdfast.test/join?token=a&b=1', tenant_name: 'Acme', days: 7 }

describe('renderMail', () => {
  test('says the same in text and HTML, with the link as it is', () => {
    const { subject, text, html } = renderMail('portal-invitation', invitation, brand)
    expect(subject).toBe('Your invitation to Acme & Söhne')
    expect(text).toContain(invitation.url)
    expect(html).toContain('href="https://acme.holdfast.test/join?token=a&amp;b=1"')
    expect(html).toContain('Acme &amp; Söhne')
    for (const words of ['within 7 days', 'If you did not expect this']) {
      expect(text).toContain(words)
      expect(html).toContain(words)
    }
    expect(html).toMatch(/<html lang="en">[\s\S]*<title>[\s\S]*<h1/)
  })

  test('puts dark letters on a light brand colour, and stands a colour that is none', () => {
    expect(renderMail('portal-invitation', invitation, brand).html).toMatch(/background:#ffdd00;color:#0a0c0f/)
    const odd = { ...brand, primary_color: 'red;}</style><script>' }
    expect(renderMail('portal-invitation', invitation, odd).html).not.toContain('<script')
  })

  test('lets no markup and no line break through', () => {
    const { subject, html, text } = renderMail(
      'notice',
      {
        subject: 'Hello\r\nBcc: x@y.test',
        paragraphs: ['<img src=x onerror=alert(1)>'],
        action: { label: '"><b>', url: 'https://a.test/"><script>' },
      },
      { ...brand, name: '<i>Acme</i>' },
    )
    expect(subject).toBe('Hello Bcc: x@y.test')
    expect(html).not.toMatch(/<img|<script|<i>Acme|<b>/)
    expect(text).toContain('<img src=x onerror=alert(1)>')
  })

  test('refuses data that is not the template’s', () => {
    expect(() => renderMail('portal-invitation', { ...invitation, url: 'javascript:alert(1)' }, brand)).toThrow()
    expect(() => renderMail('portal-invitation', { ...invitation, days: 0 }, brand)).toThrow()
    expect(() => renderMail('notice', { subject: 'x', paragraphs: [] }, brand)).toThrow()
  })
})

describe('mails of the auth server', () => {
  const templates = globSync('supabase/templates/*.html')

  test('there are some', () => expect(templates.length).toBeGreaterThan(3))

  test.each(templates)('%s leads on by its link alone: no page takes a code', (path) => {
    const html = readFileSync(path, 'utf8')
    expect(html.match(/<a href="{{ \.RedirectTo }}\?token_hash={{ \.TokenHash }}&amp;type=\w+">/g)).toHaveLength(1)
    expect(html).not.toContain('{{ .Token }}')
  })
})

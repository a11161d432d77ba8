import { z } from 'zod'
import { formatHex, inkOn, parseHex } from '@/libs/ui/color'

const link = z.url({ protocol: /^https?$/ }).max(2_000)
const text = z.string().min(1).max(2_000)

/** What each template needs. */
export const mailTemplates = {
  /** A person is invited to a tenant's portal. */
  'portal-invitation': z.strictObject({ url: link, tenant_name: text, days: z.number().int().positive() }),
  /** Anything else: a subject, paragraphs, and perhaps one thing to do. */
  notice: z.strictObject({
    subject: z.string().min(1).max(200),
    paragraphs: z.array(text).min(1).max(20),
    action: z.strictObject({ label: z.string().min(1).max(80), url: link }).optional(),
  }),
}

export type MailTemplate = keyof typeof mailTemplates
export type MailData<Template extends MailTemplate> = z.input<(typeof mailTemplates)[Template]>

/** Whose mail it is: name and colour of the tenant, and where to ask. */
export type MailBrand = { name: string; primary_color: string; support_url: string | null }
export type RenderedMail = { subject: string; text: string; html: string }

type Content = {
  subject: string
  heading: string
  paragraphs: string[]
  action?: { label: string; url: string }
  closing?: string
}

function contentOf(template: MailTemplate, data: unknown, brand: MailBrand): Content {
  if (template === 'portal-invitation') {
    const { url, days } = mailTemplates[template].parse(data)
    return {
      subject: `Your invitation to ${brand.name}`,
      heading: `Welcome to ${brand.name}`,
      paragraphs: [
        `${brand.name} invites you to its customer portal, where you see what you use and what you have left.`,
        `The link works once, for this address, within ${days === 1 ? 'one day' : `${days} days`}.`,
      ],
      action: { label: 'Accept the invitation', url },
      closing: 'If you did not expect this, do nothing: without the link nobody gets in.',
    }
  }
  const { subject, paragraphs, action } = mailTemplates[template].parse(data)
  return { subject, heading: subject, paragraphs, ...(action ? { action } : {}) }
}

/** A line without breaks, for headers. */
const oneLine = (value: string): string => value.replaceAll(/\s+/g, ' ').trim()

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (value: string): string => value.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign)

/** A mail in the tenant's brand, as HTML and as text of the same words. @throws ZodError when the data is not the template's. */
export function renderMail(template: MailTemplate, data: unknown, brand: MailBrand): RenderedMail {
  const content = contentOf(template, data, brand)
  return { subject: oneLine(content.subject), text: toText(content, brand), html: toHtml(content, brand) }
}

function toText({ heading, paragraphs, action, closing }: Content, brand: MailBrand): string {
  return [
    heading,
    ...paragraphs,
    ...(action ? [`${action.label}:\n${action.url}`] : []),
    ...(closing ? [closing] : []),
    `-- \n${brand.name}${brand.support_url ? `\nHelp: ${brand.support_url}` : ''}`,
  ]
    .join('\n\n')
    .concat('\n')
}

const FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"

function toHtml({ subject, heading, paragraphs, action, closing }: Content, brand: MailBrand): string {
  const fill = parseHex(brand.primary_color) ?? { r: 31, g: 41, b: 55 }
  const color = formatHex(fill)
  const ink = formatHex(inkOn(fill))
  const paragraph = (value: string, style: string) => `<p style="margin:0 0 16px;${style}">${escapeHtml(value)}</p>`
  const plain = 'font-size:16px;line-height:1.5;color:#1f2937'
  const small = 'font-size:14px;line-height:1.5;color:#4b5563'
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>${escapeHtml(oneLine(subject))}</title>
</head>
<body style="margin:0;padding:24px;background:#f3f4f6;${FONT}">
<main style="max-width:560px;margin:0 auto;padding:32px;background:#ffffff;border-radius:12px;border-top:4px solid ${color}">
<p style="margin:0 0 24px;font-size:14px;font-weight:600;color:#4b5563">${escapeHtml(brand.name)}</p>
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3;color:#111827">${escapeHtml(heading)}</h1>
${paragraphs.map((value) => paragraph(value, plain)).join('\n')}
${
  action
    ? `<p style="margin:24px 0"><a href="${escapeHtml(action.url)}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:${color};color:${ink};font-size:16px;font-weight:600;text-decoration:none">${escapeHtml(action.label)}</a></p>
<p style="margin:0 0 16px;${small};word-break:break-all">Or open this address: <a href="${escapeHtml(action.url)}" style="color:#1f2937">${escapeHtml(action.url)}</a></p>`
    : ''
}
${closing ? paragraph(closing, small) : ''}
<p style="margin:24px 0 0;padding-top:16px;border-top:1px solid #e5e7eb;${small}">Sent by ${escapeHtml(brand.name)}.${
    brand.support_url ? ` <a href="${escapeHtml(brand.support_url)}" style="color:#1f2937">Get help</a>` : ''
  }</p>
</main>
</body>
</html>
`
}

/** A mail as a person reads it. */
export type ReadMail = {
  from: string
  to: string
  subject: string
  date: Date | null
  text: string | null
  html: string | null
  attachments: { name: string; type: string; bytes: number }[]
}

type Headers = Map<string, string>
type Part = { headers: Headers; body: Buffer }
type Field = { value: string; parameters: Map<string, string> }

const DEEPEST = 8

/**
 * Reads an Internet message (RFC 5322 with MIME): encoded words in headers, multipart bodies, quoted-printable and
 * base64, the character sets a browser knows. Never throws: what it does not understand it gives as it stands.
 */
export function readMail(raw: Uint8Array): ReadMail {
  const part = splitPart(Buffer.from(raw))
  const mail: ReadMail = {
    from: decodeWords(part.headers.get('from') ?? ''),
    to: decodeWords(part.headers.get('to') ?? ''),
    subject: decodeWords(part.headers.get('subject') ?? ''),
    date: readDate(part.headers.get('date')),
    text: null,
    html: null,
    attachments: [],
  }
  collect(part, mail, 0)
  return mail
}

function readDate(text: string | undefined): Date | null {
  const date = new Date(text ?? '')
  return Number.isNaN(date.getTime()) ? null : date
}

function splitPart(bytes: Buffer): Part {
  const text = bytes.toString('latin1')
  const gap = /\r?\n\r?\n/.exec(text)
  const head = gap ? text.slice(0, gap.index) : text
  const headers: Headers = new Map()
  for (const line of head.replaceAll(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).trim().toLowerCase()
    // Raw UTF-8 in headers (RFC 6532) was read byte by byte above.
    if (colon > 0 && !headers.has(name))
      headers.set(name, Buffer.from(line.slice(colon + 1).trim(), 'latin1').toString('utf8'))
  }
  return { headers, body: gap ? bytes.subarray(gap.index + gap[0].length) : Buffer.alloc(0) }
}

/** `text/plain; charset="utf-8"` as its value and parameters, both in lower case but for the parameters' content. */
function readField(text: string | undefined, fallback: string): Field {
  const [value = '', ...rest] = (text || fallback).match(/(?:[^;"]|"(?:[^"\\]|\\.)*")+/g) ?? [fallback]
  const parameters = new Map<string, string>()
  for (const item of rest) {
    const equals = item.indexOf('=')
    if (equals < 0) continue
    const content = item.slice(equals + 1).trim()
    const plain = content.startsWith('"') ? content.slice(1, -1).replaceAll(/\\(.)/g, '$1') : content
    parameters.set(item.slice(0, equals).trim().toLowerCase(), plain)
  }
  return { value: value.trim().toLowerCase(), parameters }
}

function collect(part: Part, mail: ReadMail, depth: number): void {
  const type = readField(part.headers.get('content-type'), 'text/plain')
  const boundary = type.parameters.get('boundary')
  if (type.value.startsWith('multipart/') && boundary && depth < DEEPEST) {
    for (const inner of splitMultipart(part.body, boundary)) collect(splitPart(inner), mail, depth + 1)
    return
  }
  const body = decodeBody(part)
  const disposition = readField(part.headers.get('content-disposition'), 'inline')
  const charset = type.parameters.get('charset') ?? 'utf-8'
  if (disposition.value !== 'attachment' && type.value === 'text/plain' && mail.text === null) {
    mail.text = decodeText(body, charset)
  } else if (disposition.value !== 'attachment' && type.value === 'text/html' && mail.html === null) {
    mail.html = decodeText(body, charset)
  } else {
    const name = disposition.parameters.get('filename') ?? type.parameters.get('name') ?? ''
    mail.attachments.push({ name: decodeWords(name), type: type.value, bytes: body.length })
  }
}

function splitMultipart(body: Buffer, boundary: string): Buffer[] {
  const text = body.toString('latin1')
  const escaped = Buffer.from(boundary)
    .toString('latin1')
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const parts: Buffer[] = []
  let start = -1
  for (const line of text.matchAll(new RegExp(`(?:^|\\r?\\n)--${escaped}(--)?[ \\t]*(?=\\r?\\n|$)`, 'g'))) {
    if (start >= 0) parts.push(body.subarray(start, line.index))
    if (line[1]) return parts
    const end = line.index + line[0].length
    start = end + (/^\r?\n/.exec(text.slice(end, end + 2))?.[0].length ?? 0)
  }
  if (start >= 0) parts.push(body.subarray(start))
  return parts
}

function decodeBody({ headers, body }: Part): Buffer {
  const encoding = (headers.get('content-transfer-encoding') ?? '7bit').trim().toLowerCase()
  if (encoding === 'base64') return Buffer.from(body.toString('latin1'), 'base64')
  if (encoding === 'quoted-printable') return decodeQuotedPrintable(body.toString('latin1'))
  return body
}

function decodeQuotedPrintable(text: string): Buffer {
  const joined = text.replaceAll(/[ \t]+(?=\r?\n|$)/g, '').replaceAll(/=\r?\n/g, '')
  return Buffer.from(
    joined.replaceAll(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}

function decodeText(bytes: Uint8Array, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}

/** Encoded words (RFC 2047) as text; white space between two of them does not count. */
function decodeWords(text: string): string {
  return text
    .replaceAll(/(=\?[^?\s]+\?[bq]\?[^?\s]*\?=)\s+(?==\?[^?\s]+\?[bq]\?)/gi, '$1')
    .replaceAll(
      /=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/gi,
      (_, charset: string, kind: string, content: string) =>
        decodeText(
          kind.toLowerCase() === 'b'
            ? Buffer.from(content, 'base64')
            : decodeQuotedPrintable(content.replaceAll('_', '=20')),
          charset,
        ),
    )
}

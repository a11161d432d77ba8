import nodemailer from 'nodemailer'
import { describe, expect, test } from 'vitest'
import { listLinks } from '@/libs/mail/mail-directory'
import { readMail } from '@/libs/mail/read-mail'

const lines = (...parts: string[]) => Buffer.from(parts.join('\r\n'))

describe('readMail', () => {
  test('reads what nodemailer writes, whatever the encoding', async () => {
    const subject = 'Grüße aus Zürich — a subject that is long enough to be folded over several lines, 漢字 included 🙂'
    const text = `Line one = 100 %\n${'a long line with ümlauts '.repeat(20)}\n\n.dot\nFrom here\n`
    const html = `<p>${'é'.repeat(500)}</p>`
    for (const textEncoding of ['quoted-printable', 'base64'] as const) {
      const { message } = await nodemailer.createTransport({ streamTransport: true, buffer: true }).sendMail({
        from: { name: 'Ärzte "& Co", Ltd', address: 'a@example.test' },
        to: 'b@example.test',
        subject,
        text,
        html,
        textEncoding,
        attachments: [{ filename: 'päper.pdf', content: Buffer.alloc(1_000, 7) }],
      })
      const mail = readMail(message as Buffer)
      expect(mail.subject).toBe(subject)
      expect(mail.from).toContain('Ärzte')
      expect(mail.to).toBe('b@example.test')
      expect(mail.date).toBeInstanceOf(Date)
      expect(mail.text?.replaceAll('\r\n', '\n').trimEnd()).toBe(text.trimEnd())
      expect(mail.html?.trim()).toBe(html)
      expect(mail.attachments).toEqual([expect.objectContaining({ type: 'application/pdf', bytes: 1_000 })])
    }
  })

  test('a plain message of one part', () => {
    const mail = readMail(lines('From: a@b.test', 'Subject: =?utf-8?Q?caf=C3=A9?= =?utf-8?B?4pyT?=', '', 'hello'))
    expect(mail).toMatchObject({ subject: 'café✓', text: 'hello', html: null, date: null })
  })

  test('soft line breaks, trailing space and hex digits of quoted-printable', () => {
    const head = ['Content-Type: text/plain; charset=iso-8859-1', 'Content-Transfer-Encoding: quoted-printable', '']
    expect(readMail(lines(...head, 'na=EFve =', 'text=3D   ', 'end')).text).toBe('naïve text=\r\nend')
  })

  test('nested multiparts with a preamble, an epilogue and a missing end', () => {
    const raw = lines(
      'Content-Type: multipart/mixed; boundary="a.b+(c)"',
      '',
      'for old readers',
      '--a.b+(c)',
      'Content-Type: multipart/alternative; boundary=inner',
      '',
      '--inner',
      'Content-Type: text/plain',
      '',
      'text',
      '--inner',
      'Content-Type: text/html; charset=utf-8',
      '',
      '<b>html</b>',
      '--inner--',
      'left over',
      '--a.b+(c)',
      'Content-Type: application/octet-stream; name=x.bin',
      'Content-Transfer-Encoding: base64',
      '',
      'AAEC',
    )
    expect(readMail(raw)).toMatchObject({
      text: 'text',
      html: '<b>html</b>',
      attachments: [{ name: 'x.bin', bytes: 3 }],
    })
  })

  test('line feeds alone, unknown character sets, no body, nothing at all', () => {
    expect(readMail(Buffer.from('Subject: x\n\nbody')).text).toBe('body')
    expect(readMail(lines('Content-Type: text/plain; charset=x-none', '', 'ü')).text).toBe('ü')
    expect(readMail(lines('Subject: alone'))).toMatchObject({ subject: 'alone', text: '' })
    expect(readMail(Buffer.alloc(0))).toMatchObject({ subject: '', text: '' })
    expect(readMail(Buffer.from([0xff, 0xfe, 0, 1]))).toMatchObject({ subject: '' })
  })

  test('endless nesting ends', () => {
    let body = 'deep'
    for (let depth = 0; depth < 50; depth += 1)
      body = `Content-Type: multipart/mixed; boundary=b${depth}\r\n\r\n--b${depth}\r\n${body}\r\n--b${depth}--`
    expect(() => readMail(Buffer.from(body))).not.toThrow()
  })
})

test('listLinks gives each address once, from text and HTML, and nothing a click could run', () => {
  const text = 'See (https://a.test/x?token=1&b=2), or http://b.test.'
  const html = `<a href="https://a.test/x?token=1&amp;b=2">x</a><a href='https://c.test/'>y</a><a href="javascript:alert(1)">z</a>`
  expect(listLinks({ text, html })).toEqual(['https://a.test/x?token=1&b=2', 'http://b.test.', 'https://c.test/'])
})

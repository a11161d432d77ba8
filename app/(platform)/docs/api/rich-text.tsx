import type { ReactNode } from 'react'

/** Paragraphs of plain text in which `backticks` mark code; nothing else of Markdown. */
export function RichText({ text }: { text: string }) {
  return text.split(/\n{2,}/).map((paragraph) => (
    <p key={paragraph} className="mt-2 text-mute">
      {withCode(paragraph)}
    </p>
  ))
}

/** A line of text with its code marked. */
export function withCode(text: string): ReactNode[] {
  let at = 0
  return text.split('`').map((part, index) => {
    const key = at
    at += part.length + 1
    if (index % 2 === 0) return part
    return (
      <code key={key} className="rounded-sm bg-sunken px-1 py-0.5 font-mono text-[0.92em] text-ink">
        {part}
      </code>
    )
  })
}

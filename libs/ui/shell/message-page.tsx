import type { ReactNode } from 'react'

/** A page with one message: not found, failed, suspended. Neutral: it belongs to no shell. */
export function MessagePage({
  code,
  title,
  description,
  action,
  children,
}: {
  code?: string
  title: string
  description: ReactNode
  action?: ReactNode
  children?: ReactNode
}) {
  return (
    <main
      id="main"
      tabIndex={-1}
      className="flex min-h-dvh flex-col items-center justify-center px-6 py-16 text-center"
    >
      {code ? <p className="tabular mb-2 font-medium text-faint text-sm">{code}</p> : null}
      <h1 tabIndex={-1} className="font-semibold text-2xl tracking-tight">
        {title}
      </h1>
      <div className="mt-2 max-w-md text-mute">{description}</div>
      {action ? <div className="mt-6 flex flex-wrap justify-center gap-2">{action}</div> : null}
      {children}
    </main>
  )
}

'use client'

import { usePathname } from 'next/navigation'
import { useEffect, useRef } from 'react'
import { t } from '@/libs/ui/messages'

const REGION_ID = 'live-region'

/** Says something to screen readers, politely; the same text twice is said twice. */
export function announce(text: string): void {
  const region = document.getElementById(REGION_ID)
  if (!region) return
  region.textContent = ''
  window.setTimeout(() => {
    region.textContent = text
  }, 50)
}

/** The live region that `announce` writes to; once, in the root layout. */
export function LiveRegion() {
  return <div id={REGION_ID} role="status" aria-live="polite" className="sr-only" />
}

/**
 * After a navigation the focus goes to the heading of the new page (its title is announced by Next), so that keyboard
 * and screen reader start where the page starts. The first load is left alone, and so is whoever has pressed a key or
 * a button since: the focus is where that has put it.
 */
export function RouteFocus() {
  const pathname = usePathname()
  const previous = useRef(pathname)
  useEffect(() => {
    if (previous.current === pathname) return
    previous.current = pathname
    const started = document.querySelector('main h1')
    let tries = 0
    const pressed = new AbortController()
    const stop = () => {
      window.clearInterval(timer)
      pressed.abort()
    }
    // A key that is still held is the one that led here.
    document.addEventListener('keydown', (event) => event.repeat || stop(), { capture: true, signal: pressed.signal })
    document.addEventListener('pointerdown', stop, { capture: true, signal: pressed.signal })
    const timer = window.setInterval(() => {
      tries += 1
      const heading = document.querySelector<HTMLElement>('main h1')
      // The old heading may still be there for a moment; after half a second it is taken as the new one.
      if ((!heading || heading === started) && tries < 10) return
      stop()
      const active = document.activeElement
      if (active instanceof HTMLElement && active.closest('[role="dialog"],[role="alertdialog"]')) return
      if (active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement) {
        if (active.closest('main')) return
      }
      const target = heading ?? document.getElementById('main')
      if (!target) return
      if (!target.hasAttribute('tabindex')) target.setAttribute('tabindex', '-1')
      target.focus({ preventScroll: true })
    }, 50)
    return stop
  }, [pathname])
  return null
}

/** The first thing in the tab order: jumps over the navigation to `<main id="main">`. */
export function SkipLink() {
  return (
    <a
      href="#main"
      className="-translate-y-20 fixed top-3 left-3 z-60 rounded-md bg-ink px-3.5 py-2 font-medium text-canvas text-sm shadow-pop focus:translate-y-0"
    >
      {t('ui.skip')}
    </a>
  )
}

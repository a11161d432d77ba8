'use client'

import { type RefObject, useEffect } from 'react'
import { t } from '@/libs/ui/messages'

let unsaved = 0

/** Whether the page may be left: asks first while something on it is unsaved. For who leads elsewhere other than by a link. */
export function mayLeave(): boolean {
  return unsaved === 0 || window.confirm(t('ui.leave'))
}

/** Whether something was typed into a form of a panel that was not sent. */
export function isTypedInto(panel: Element | null): boolean {
  return panel?.querySelector('form[data-unsaved]') != null
}

/** Whether anything was typed on this page, or into a panel over it, that was not sent. */
export function hasUnsaved(): boolean {
  return unsaved > 0 || isTypedInto(document.body)
}

/** Whether a panel with forms may close: asks first while something was typed into one of them that was not sent. */
export function mayClose(panel: Element | null): boolean {
  return !isTypedInto(panel) || window.confirm(t('ui.discard'))
}

/** Asks before a panel with forms is gone with what was typed into it: by Back, which closes many, by a reload, with the window. */
export function useTypedGuard(open: boolean, panel: RefObject<Element | null>): void {
  useEffect(() => {
    if (!open) return
    const onBack = (event: NavigateEvent) => {
      if (event.navigationType === 'traverse' && event.cancelable && !mayClose(panel.current)) event.preventDefault()
    }
    const onEnd = (event: BeforeUnloadEvent) => {
      if (isTypedInto(panel.current)) event.preventDefault()
    }
    window.addEventListener('beforeunload', onEnd)
    window.navigation?.addEventListener('navigate', onBack)
    return () => {
      window.removeEventListener('beforeunload', onEnd)
      window.navigation?.removeEventListener('navigate', onBack)
    }
  }, [open, panel])
}

function onUnload(event: BeforeUnloadEvent) {
  event.preventDefault()
}

function onClick(event: MouseEvent) {
  const link = event.target instanceof Element ? event.target.closest('a[href]') : null
  if (!(link instanceof HTMLAnchorElement) || link.target === '_blank' || event.metaKey || event.ctrlKey) return
  if (link.hash && link.pathname === window.location.pathname) return
  if (mayLeave()) return
  event.preventDefault()
  event.stopPropagation()
}

// Back and forward, where the browser lets them be held up.
function onNavigate(event: NavigateEvent) {
  if (event.navigationType !== 'traverse' || !event.cancelable) return
  if (new URL(event.destination.url).pathname !== window.location.pathname && !mayLeave()) event.preventDefault()
}

/** Asks before the window is closed or reloaded, a link followed, or the page left otherwise, while something is unsaved. */
export function useUnsavedGuard(dirty: boolean): void {
  useEffect(() => {
    if (!dirty) return
    unsaved += 1
    if (unsaved === 1) {
      window.addEventListener('beforeunload', onUnload)
      document.addEventListener('click', onClick, { capture: true })
      window.navigation?.addEventListener('navigate', onNavigate)
    }
    return () => {
      unsaved -= 1
      if (unsaved > 0) return
      window.removeEventListener('beforeunload', onUnload)
      document.removeEventListener('click', onClick, { capture: true })
      window.navigation?.removeEventListener('navigate', onNavigate)
    }
  }, [dirty])
}

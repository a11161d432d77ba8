'use client'

import { type RefObject, useEffect, useSyncExternalStore } from 'react'
import { t } from '@/libs/ui/messages'

/** How much of the page is unsaved, and into how many forms something was typed that was not sent. */
let unsaved = 0
let typedForms = 0
const listeners = new Set<() => void>()

function count(pages: number, forms: number): void {
  unsaved += pages
  typedForms += forms
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Whether anything was typed on this page, or into a panel over it, that was not sent. */
export function useUnsaved(): boolean {
  return useSyncExternalStore(
    subscribe,
    () => unsaved > 0 || typedForms > 0,
    () => false,
  )
}

/** For a form: whether something was typed into it, as the attribute that says so of it. */
export function useTypedForm(typed: boolean): { 'data-unsaved': true | undefined } {
  useEffect(() => {
    if (!typed) return
    count(0, 1)
    return () => count(0, -1)
  }, [typed])
  return { 'data-unsaved': typed || undefined }
}

/** Whether the page may be left: asks first while something on it is unsaved. For who leads elsewhere other than by a link. */
export function mayLeave(): boolean {
  return unsaved === 0 || window.confirm(t('ui.leave'))
}

function isTypedInto(panel: Element | null): boolean {
  return panel?.querySelector('form[data-unsaved]') != null
}

function mayClose(panel: Element | null): boolean {
  return !isTypedInto(panel) || window.confirm(t('ui.discard'))
}

/**
 * Asks before a panel with forms is gone with what was typed into it: by Back, which closes many, by a reload, with the window.
 * Gives whether it closes for a reason of its own: Escape asks too, and a press beside it, which comes by mistake as often as
 * not, closes nothing then.
 */
export function useTypedGuard(open: boolean, panel: RefObject<Element | null>): (reason: string) => boolean {
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
  return (reason) =>
    reason === 'escape-key' ? mayClose(panel.current) : reason !== 'outside-press' || !isTypedInto(panel.current)
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
    count(1, 0)
    if (unsaved === 1) {
      window.addEventListener('beforeunload', onUnload)
      document.addEventListener('click', onClick, { capture: true })
      window.navigation?.addEventListener('navigate', onNavigate)
    }
    return () => {
      count(-1, 0)
      if (unsaved > 0) return
      window.removeEventListener('beforeunload', onUnload)
      document.removeEventListener('click', onClick, { capture: true })
      window.navigation?.removeEventListener('navigate', onNavigate)
    }
  }, [dirty])
}

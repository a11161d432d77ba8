'use client'

import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from 'react'
import {
  type ApiFetchOptions,
  type ApiProblem,
  apiFetch,
  newIdempotencyKey,
  type Page,
  readWhole,
  toProblem,
} from '@/libs/ui/api-client'

const Base = createContext('')

/**
 * Which tenant the calls below are addressed to. The dashboard sets `/tenants/acme`, so that `useApi('/customers')`
 * asks `/api/v1/tenants/acme/customers`; portal and operator console set nothing.
 */
export function ApiBaseProvider({ base, children }: { base: string; children: ReactNode }) {
  return <Base value={base}>{children}</Base>
}

/** Turns `/customers` into the path for the tenant around it; for links and downloads as well as calls. */
export function useApiPath(): (path: string) => string {
  const base = useContext(Base)
  return useCallback((path: string) => `${base}${path}`, [base])
}

/** `apiFetch`, addressed to the tenant around it. */
export function useApiFetch(): <T>(path: string, options?: ApiFetchOptions) => Promise<T> {
  const toPath = useApiPath()
  return useCallback(<T,>(path: string, options?: ApiFetchOptions) => apiFetch<T>(toPath(path), options), [toPath])
}

export type ApiState<T> = {
  data: T | undefined
  error: ApiProblem | null
  /** Nothing to show yet. */
  loading: boolean
  /** An answer is under way; `data` is that of before. */
  refreshing: boolean
  reload: () => void
  /** Puts a value in place at once, before the server is asked again. */
  setData: (update: (data: T | undefined) => T | undefined) => void
}

export type UseApiOptions = {
  /** Asks again after so many milliseconds, while the page is visible and no answer is under way. */
  refreshMs?: number
  /** False: forget the old answer when the path changes. */
  keepPrevious?: boolean
  /** The path is that of a list: reads all of its pages, for what is chosen from. */
  whole?: boolean
}

/**
 * Reads from the API. A change of path cancels the call under way; null asks nothing.
 * @example const customers = useApi<Page<Customer>>(`/customers${list.query}`)
 */
export function useApi<T>(path: string | null, options: UseApiOptions = {}): ApiState<T> {
  const { refreshMs, keepPrevious = true, whole = false } = options
  const toPath = useApiPath()
  const full = path === null ? null : toPath(path)
  const [round, setRound] = useState(0)
  const asking = useRef(false)
  const [state, setState] = useState<{
    path: string | null
    data: T | undefined
    error: ApiProblem | null
    busy: boolean
  }>({ path: null, data: undefined, error: null, busy: false })

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    if (full === null) return
    const abort = new AbortController()
    asking.current = true
    setState((old) => ({ ...old, busy: true }))
    const ask = <Answer,>(path: string) => apiFetch<Answer>(path, { signal: abort.signal })
    const answer = whole ? readWhole(full, ask<Page<unknown>>).then((page) => page as T) : ask<T>(full)
    answer.then(
      (data) => {
        if (abort.signal.aborted) return
        asking.current = false
        setState({ path: full, data, error: null, busy: false })
      },
      (error: unknown) => {
        if (abort.signal.aborted) return
        asking.current = false
        const problem = toProblem(error)
        setState((old) => ({ path: full, data: old.path === full ? old.data : undefined, error: problem, busy: false }))
      },
    )
    return () => abort.abort()
  }, [full, whole, round])

  const reload = useCallback(() => setRound((old) => old + 1), [])

  useEffect(() => {
    if (!refreshMs || full === null) return
    // An answer that takes longer than this is waited for: to ask again would be to never get it.
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && !asking.current) reload()
    }, refreshMs)
    return () => clearInterval(timer)
  }, [refreshMs, full, reload])

  const setData = useCallback((update: (data: T | undefined) => T | undefined) => {
    setState((old) => ({ ...old, data: update(old.data) }))
  }, [])

  const current = state.path === full
  const data = current || keepPrevious ? state.data : undefined
  const error = current ? state.error : null
  const pending = full !== null && (state.busy || !current)
  return { data, error, loading: pending && data === undefined && !error, refreshing: pending, reload, setData }
}

/** What makes an act safe to repeat. */
export type ActOptions = { idempotencyKey: string }

/**
 * Does an act that may be tried again: when no answer came, or one that does not say whether it was done, the next try with the
 * same input carries the same idempotency key, so that nothing is done twice. Throws an ApiProblem, whatever went wrong.
 * @example await once(values, (options) => api('/tiers', { method: 'POST', body: values, ...options }))
 */
export function useOnce(): <T>(input: unknown, act: (options: ActOptions) => Promise<T>) => Promise<T> {
  const lost = useRef<{ input: string; key: string } | null>(null)
  return useCallback(async <T,>(input: unknown, act: (options: ActOptions) => Promise<T>) => {
    const print = JSON.stringify(input) ?? ''
    const idempotencyKey = lost.current?.input === print ? lost.current.key : newIdempotencyKey()
    lost.current = null
    try {
      return await act({ idempotencyKey })
    } catch (error) {
      const problem = toProblem(error)
      if (problem.status === 0 || problem.status >= 500) lost.current = { input: print, key: idempotencyKey }
      throw problem
    }
  }, [])
}

export type Mutation<Input, Output> = {
  /** Resolves with the answer, or with undefined when it failed (see `error`). */
  run: (input: Input) => Promise<Output | undefined>
  pending: boolean
  error: ApiProblem | null
  reset: () => void
}

/**
 * Changes something, once (see useOnce). A second call while one is under way is ignored; with `rows`, of acts on the rows of a
 * list, only the same again is, and that on another row waits for its turn.
 * @example const revoke = useMutation((id: string, o) => api(`/api-keys/${id}`, { method: 'DELETE', ...o }), { onSuccess: reload })
 */
export function useMutation<Input, Output>(
  act: (input: Input, options: ActOptions) => Promise<Output>,
  handlers: {
    onSuccess?: (output: Output, input: Input) => void
    onError?: (problem: ApiProblem, input: Input) => void
    rows?: boolean
  } = {},
): Mutation<Input, Output> {
  const [pending, setPending] = useState(false)
  const [error, setError] = useState<ApiProblem | null>(null)
  const under = useRef(new Set<string>())
  const turn = useRef<Promise<unknown>>(Promise.resolve())
  const once = useOnce()
  const latest = useRef({ act, handlers })
  latest.current = { act, handlers }

  const run = useCallback(
    async (input: Input) => {
      const print = latest.current.handlers.rows ? JSON.stringify(input) : ''
      if (under.current.has(print)) return undefined
      under.current.add(print)
      setPending(true)
      const before = turn.current
      let end = () => {}
      turn.current = new Promise<void>((resolve) => {
        end = resolve
      })
      await before
      setError(null)
      try {
        const output = await once(input, (options) => latest.current.act(input, options))
        latest.current.handlers.onSuccess?.(output, input)
        return output
      } catch (cause) {
        const problem = toProblem(cause)
        setError(problem)
        latest.current.handlers.onError?.(problem, input)
        return undefined
      } finally {
        under.current.delete(print)
        end()
        setPending(under.current.size > 0)
      }
    },
    [once],
  )

  const reset = useCallback(() => setError(null), [])
  return { run, pending, error, reset }
}

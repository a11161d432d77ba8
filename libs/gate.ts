export type Gate = {
  /** Whether nothing goes on in it. */
  isEmpty: () => boolean
  /** Runs work when it is its turn. @throws what the work throws, or what the patience says. */
  run: <T>(work: () => Promise<T>) => Promise<T>
}

/** Lets so many pieces of work go on at one moment; the others wait in line, without end or as long as there is patience. */
export function createGate(most: number, patience?: { ms: number; refuse: () => Error }): Gate {
  const line: (() => void)[] = []
  let open = 0

  const wait = (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = () => {
      line.splice(line.indexOf(called), 1)
      reject(patience?.refuse())
    }
    const timer = patience && setTimeout(leave, patience.ms)
    const called = () => {
      clearTimeout(timer)
      resolve()
    }
    line.push(called)
    return promise
  }

  return {
    isEmpty: () => open === 0,
    run: async (work) => {
      if (open < most) open += 1
      else await wait()
      try {
        return await work()
      } finally {
        // Whoever ends hands its place on, so that nobody who comes meanwhile is before who waits.
        const next = line.shift()
        if (next) next()
        else open -= 1
      }
    },
  }
}

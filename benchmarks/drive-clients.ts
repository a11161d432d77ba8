import pg from 'pg'

/**
 * Connections of their own that do one thing after the other for so many seconds, or until there is nothing left to do (`false`).
 * Gives how often it was done, how long that took, and the 99th percentile in milliseconds.
 */
export async function driveClients(
  { url, connections, seconds }: { url: string; connections: number; seconds: number },
  work: (client: pg.Client) => Promise<unknown> | false,
): Promise<{ times: number; seconds: number; p99: number }> {
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      return client
    }),
  )
  const latencies: number[] = []
  const started = performance.now()
  const end = started + seconds * 1_000
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) {
        const sent = performance.now()
        const done = work(client)
        if (done === false) return
        await done
        latencies.push(performance.now() - sent)
      }
    }),
  )
  const took = (performance.now() - started) / 1_000
  await Promise.all(clients.map((client) => client.end()))
  latencies.sort((a, b) => a - b)
  return { times: latencies.length, seconds: took, p99: latencies[Math.floor(latencies.length * 0.99)] ?? 0 }
}

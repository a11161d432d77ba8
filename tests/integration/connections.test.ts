// Connections to a database that goes without a word, as behind a network that drops what it knows nothing of.
import { Socket } from 'node:net'
import { expect, test, vi } from 'vitest'
import { isListening, onNotification, stopNotifications } from '@/libs/db/notifications'
import { closePools, operatorPool, serverPool } from '@/libs/db/pools'
import { createWorld } from '../support/world'

await createWorld()

test('are asked after once they rest, whatever they are for', async () => {
  await closePools()
  await stopNotifications()
  const asked = vi.spyOn(Socket.prototype, 'setKeepAlive')
  await serverPool().query('select 1')
  await operatorPool().query('select 1')
  const stop = onNotification('registry', () => undefined)
  await expect.poll(isListening).toBe(true)
  stop()
  const calls = asked.mock.calls
  asked.mockRestore()
  expect(calls.length).toBeGreaterThan(2)
  for (const call of calls) expect(call).toEqual([true, 10_000])
})

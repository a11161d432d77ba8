import { Socket } from 'node:net'
import { log } from '@/libs/log'

const TICK_MS = 1_000
/** Ticks that a question waits for an answer, with not a byte of anything else meanwhile. */
const PATIENCE = 5

/** Each open connection to the database, with the bytes that had come over it at the last tick. */
const sockets = new Map<Socket, number>()
let asking = false
let quiet = 0
let silent = false
let watching = false

/**
 * The socket of a connection to the database, as `stream` of its settings. While the database is silent it breaks at once, so
 * that nobody waits for nothing; all but a `patient` one, which finds out when that is over.
 */
export function openSocket({ patient = false } = {}): Socket {
  const socket = new Socket()
  sockets.set(socket, 0)
  socket.once('close', () => sockets.delete(socket))
  if (!patient && isSilent()) process.nextTick(() => socket.destroy(unanswered()))
  return socket
}

/**
 * Watches from now on whether the database answers. Where its processes are stopped, or a network drops packets, nothing comes back
 * and no limit that the server keeps holds; a limit here would cost each statement a timer, and end those that may take long.
 * So when nothing comes in at all one question goes out, and when that has no answer either, every connection is given up.
 * `ask` is done when it has an answer, or an error that says as much.
 */
export function watchForSilence(ask: () => Promise<unknown>): void {
  if (watching) return
  watching = true
  setInterval(() => look(ask), TICK_MS).unref()
}

/** Whether the database is known to answer nothing, so that trying again is of no use. */
export function isSilent(): boolean {
  if (silent && hasSpoken()) {
    silent = false
    log.warn('the database answers again')
  }
  return silent
}

function hasSpoken(): boolean {
  for (const [socket, before] of sockets) if (socket.bytesRead > before) return true
  return false
}

// In turns of our own loop, not by the clock: a process that was held up itself has not waited for anybody.
function look(ask: () => Promise<unknown>): void {
  if (isSilent() || sockets.size === 0) return
  const spoken = hasSpoken()
  for (const socket of sockets.keys()) sockets.set(socket, socket.bytesRead)
  if (spoken) quiet = 0
  else if (asking) quiet += 1
  if (quiet >= PATIENCE) giveUp()
  else if (!spoken && !asking) void question(ask)
}

async function question(ask: () => Promise<unknown>): Promise<void> {
  asking = true
  try {
    await ask()
  } catch (error) {
    log.debug({ err: error }, 'the database was asked whether it is there')
  }
  asking = false
}

function giveUp(): void {
  silent = true
  quiet = 0
  log.error({ connections: sockets.size }, 'the database answers nothing: connections are given up')
  for (const socket of sockets.keys()) socket.destroy(unanswered())
  sockets.clear()
}

function unanswered(): Error {
  return Object.assign(new Error('The database answers nothing.'), { code: 'ETIMEDOUT' })
}

import { totalmem } from 'node:os'

/** A sixteenth of the machine's memory, from 128 MiB to 1 GiB: indexes of random keys want to be in it, and it is not the only one here. */
const sharedBuffers = `${Math.min(1024, Math.max(128, Math.floor(totalmem() / 16 / 1_048_576)))}MB`

/** How an embedded Postgres runs where nothing else is said. */
export const DEFAULT_SETTINGS: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: sharedBuffers,
  wal_level: 'logical',
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',
  synchronous_commit: 'on',
  fsync: 'on',
  full_page_writes: 'on',
  jit: 'off',
  password_encryption: 'scram-sha-256',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
  // Details hold what tenants sent, and as much of it as they like: who asks is told them, the log is not.
  log_error_verbosity: 'terse',
  ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
}

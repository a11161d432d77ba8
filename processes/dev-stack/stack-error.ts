/**
 * A failure that the person at the terminal can act on. `message` is one sentence saying what is wrong,
 * `way_out` one sentence saying what to do about it; both are shown without a stack trace.
 */
export class StackError extends Error {
  readonly way_out: string

  constructor(message: string, wayOut: string) {
    super(message)
    this.name = 'StackError'
    this.way_out = wayOut
  }
}

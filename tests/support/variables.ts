/** A variable of the environment that setup.ts has set. @throws Error when it did not. */
export function requireVariable(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: this belongs into an integration test.`)
  return value
}

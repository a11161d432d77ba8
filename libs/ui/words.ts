const ACRONYMS = new Set(['api', 'cdn', 'id', 'ip', 'saml', 'sdk', 'sla', 'sms', 'sso', 'ssl'])

/** A key as people would write it: `custom_domain` as “Custom domain”, `sso` in capitals. */
export function toWords(key: string): string {
  const words = key.split(/[._-]+/).map((word) => (ACRONYMS.has(word) ? word.toUpperCase() : word))
  const text = words.join(' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

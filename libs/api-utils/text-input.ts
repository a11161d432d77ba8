import { z } from 'zod'

const CONTROL = /\p{Cc}/u
/** Something that can be seen: neither blank nor one of the characters that only steer how others are shown. */
const VISIBLE = /[^\p{Cc}\p{Cf}\p{Z}]/u

const UUID_LIKE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// Rules rather than patterns: a pattern would be in the OpenAPI document, where not everybody reads \p.
const isOneLine = (text: string): boolean => !CONTROL.test(text)

/** Text of one line, which may be empty: what is called so, goes into mails and tables as it is. */
export function lineInput(longest: number) {
  return z.string().trim().max(longest).refine(isOneLine, 'must not hold line breaks or other control characters')
}

/** The name of a meter or a tier in calls: no id, so that one text is never both. */
export function slugInput() {
  return noId(
    z
      .string()
      .max(64)
      .regex(/^[a-z0-9]+([_-][a-z0-9]+)*$/, 'must be lower-case letters and digits, with single - or _ between'),
  )
}

/** The key of a feature, where one is named. */
export function featureKeyInput() {
  return z
    .string()
    .max(64)
    .regex(/^[a-z0-9]+([._-][a-z0-9]+)*$/, 'must be lower-case letters and digits, with single . - or _ between')
}

/** The key of a feature, where it is given. */
export function newFeatureKeyInput() {
  return noId(featureKeyInput())
}

function noId(text: z.ZodString) {
  return text.refine((name) => !UUID_LIKE.test(name), 'must not look like an id')
}

/** What another system calls something, as it is: an identifier, an event_id. Characters are counted as the database counts them. */
export function givenNameInput(longest: number) {
  return given(z.string(), longest)
}

/** A customer as its tenant calls it, or by its id, in every body and query: blanks around it are no part of it. */
export function customerNameInput() {
  return given(z.string().trim(), 255)
}

/** The `user_id` of a body, which may be a whole number too. */
export function userIdInput() {
  return z
    .union([z.string(), z.int().transform(String)], { error: 'must be text or a whole number' })
    .pipe(customerNameInput())
    .meta({ description: "The tenant's own name for the customer", example: 'customer-42' })
}

function given(text: z.ZodString, longest: number) {
  return text
    .min(1)
    .refine((name) => name.length <= longest || [...name].length <= longest, `may have at most ${longest} characters`)
    .refine(isOneLine, 'must not hold control characters')
    .meta({ maxLength: longest })
}

/** A name: one line of which something can be seen. */
export function nameInput(longest: number) {
  return z
    .string()
    .trim()
    .min(1)
    .max(longest)
    .refine(isOneLine, 'must not hold line breaks or other control characters')
    .refine((text) => VISIBLE.test(text), 'must not be empty')
}

// A form that is sent before the page is alive is sent nowhere: browsers do nothing for the method dialog without a dialog. What
// was typed (a password, a name) stays in its fields, and never stands in an address, a history or a log.
import { expect, test } from 'vitest'
import { readSources } from '../support/source-files'

test('no form is sent by the browser itself', () => {
  const forms = readSources('{app,features,libs}/**/*.tsx').flatMap(({ path, code }) =>
    [...code.matchAll(/<form\b[\s\S]*?>(?=\s)/g)].map(([tag]) => ({ path, tag })),
  )
  expect(forms.length).toBeGreaterThan(5)
  expect(forms.filter(({ tag }) => !/\bmethod="dialog"/.test(tag))).toEqual([])
})

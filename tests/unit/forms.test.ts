// A form that is sent before the page is alive goes to the server as the browser sends it: by POST, so that what was typed
// (a password, a name) never stands in an address, a history or a log.
import { expect, test } from 'vitest'
import { readSources } from '../support/source-files'

test('every form is sent by post', () => {
  const forms = readSources('{app,features,libs}/**/*.tsx').flatMap(({ path, code }) =>
    [...code.matchAll(/<form\b[\s\S]*?>(?=\s)/g)].map(([tag]) => ({ path, tag })),
  )
  expect(forms.length).toBeGreaterThan(5)
  expect(forms.filter(({ tag }) => !/\bmethod="post"/.test(tag))).toEqual([])
})

import { expect, test } from 'vitest'
import { dropFlight } from '../../processes/web/drop-flight'

test('what asks for parts of a page is nothing to the API', () => {
  const headers = { rsc: '1', 'next-action': 'x', 'next-url': '/', authorization: 'Bearer x', accept: '*/*' }
  dropFlight({ headers })
  expect(headers).toEqual({ authorization: 'Bearer x', accept: '*/*' })
})

// The yardstick for HTTP: a server that does nothing but read a small body and answer a constant.
import { createServer } from 'node:http'

const ANSWER = JSON.stringify({ allowed: true, code: 'VALID', limit: 1000, used: 1, remaining: 999, overage: 0 })

createServer((request, response) => {
  request.on('data', () => undefined)
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length })
    response.end(ANSWER)
  })
}).listen(Number(process.env.BARE_PORT), '127.0.0.1')

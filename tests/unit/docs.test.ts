import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import packageJson from '@/package.json'

const root = join(import.meta.dirname, '../..')
const pages = ['*.md', 'docs/**/*.md', 'tests/**/*.md'].flatMap((pattern) => globSync(pattern, { cwd: root })).sort()
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const prose = (text: string) => text.replaceAll(/^```[\s\S]*?^```/gm, '')

/** The anchor of a heading, as Markdown renderers make it. */
function toAnchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(/\s/g, '-')
}

test('there is something to check', () => {
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'docs/architecture.md']))
})

test.each(pages)('%s: every relative link leads somewhere', (page) => {
  const broken: string[] = []
  for (const [, link = ''] of prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : relative(root, join(root, dirname(page), path))
    if (!existsSync(join(root, target))) broken.push(link)
    else if (anchor) {
      const anchors = [...prose(read(target)).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => toAnchor(heading))
      if (!anchors.includes(anchor)) broken.push(link)
    }
  }
  expect(broken).toEqual([])
})

test.each(pages)('%s: every file it names is there', (page) => {
  const named = [...prose(read(page)).matchAll(/`([\w.()[\]-]+(?:\/[\w.()[\]-]+)+)`/g)].map(([, path = '']) => path)
  const inRepository = named.filter(
    (path) => !path.startsWith('.data/') && existsSync(join(root, path.split('/')[0] ?? '')),
  )
  expect(inRepository.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test.each(pages)('%s: every command it tells to run exists', (page) => {
  const scripts: Record<string, string> = packageJson.scripts
  const missing = [...read(page).matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)]
    .map(([, named, short = '']) => named ?? short)
    .filter((name) => !scripts[name])
  expect(missing).toEqual([])
})

test('every script of package.json that people run is in the README', () => {
  const readme = read('README.md')
  const untold = Object.keys(packageJson.scripts).filter(
    (name) => !readme.includes(['start', 'test'].includes(name) ? `npm ${name}` : `npm run ${name}`),
  )
  expect(untold).toEqual([])
})

test('operations tells of every job of the worker, and of no other', () => {
  const jobs = [...read('processes/worker.ts').matchAll(/\{ name: '([\w-]+)', everyMs/g)].map(([, name]) => name)
  const [, section = ''] = /^## Jobs of the worker$([\s\S]*?)^## /m.exec(read('docs/operations.md')) ?? []
  const told = [...section.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)
  expect(jobs.length).toBeGreaterThan(5)
  expect(told).toEqual(jobs)
})

test('the README keeps one place for the measured numbers', () => {
  const readme = read('README.md')
  expect(readme.split('<!-- bench:start -->')).toHaveLength(2)
  expect(readme.split('<!-- bench:end -->')).toHaveLength(2)
  expect(readme.indexOf('<!-- bench:start -->')).toBeLessThan(readme.indexOf('<!-- bench:end -->'))
})

test('decisions are numbered without gaps, listed, and have their five parts', () => {
  const records = globSync('docs/decisions/[0-9]*.md', { cwd: root }).sort()
  const list = read('docs/decisions/README.md')
  records.forEach((record, index) => {
    const number = String(index + 1).padStart(4, '0')
    const text = read(record)
    expect(record).toMatch(new RegExp(`^docs/decisions/${number}-[a-z0-9-]+\\.md$`))
    expect(text).toMatch(new RegExp(`^# ${number} .+\\n\\n\\d{4}-\\d{2}-\\d{2}, (?:accepted|superseded by \\d{4})\\n`))
    const parts = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    expect(parts).toEqual(['Context', 'Decision', 'Consequences', 'Alternatives', 'Enforced by'])
    expect(list).toContain(`(${record.replace('docs/decisions/', '')})`)
  })
})

import { globSync } from 'node:fs'
import type { RouteHandler } from '@/libs/api-utils/route-handler'
import { inRepository } from '../../processes/dev-stack/repository'

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
export type Method = (typeof METHODS)[number]

/** One method of one route file. */
export type Route = {
  /** `METHOD /path/{parameter}`, as the OpenAPI document writes it. */
  name: string
  method: Method
  path: string
  parameters: string[]
  handler: RouteHandler
}

/** Folders of app/ as an address: groups vanish, `[id]` becomes `{id}`. */
function pathOf(file: string): string {
  const parts = file.split('/').slice(1, -1)
  return `/${parts
    .filter((part) => !part.startsWith('('))
    .map((part) => part.replace(/^\[(?:\.\.\.)?(.+)\]$/, '{$1}'))
    .join('/')}`
}

/** Every method of every route file, and what the files export besides. */
export async function readRoutes(): Promise<{ routes: Route[]; others: string[] }> {
  const routes: Route[] = []
  const others: string[] = []
  const files = globSync('app/**/route.ts', { cwd: inRepository() }).map((file) => file.replaceAll('\\', '/'))
  for (const file of files.sort()) {
    const path = pathOf(file)
    const exports: Record<string, unknown> = await import(/* @vite-ignore */ inRepository(file))
    for (const [name, value] of Object.entries(exports)) {
      const method = METHODS.find((known) => known === name)
      if (!method || typeof value !== 'function') others.push(`${file}: ${name}`)
      else
        routes.push({
          name: `${method} ${path}`,
          method,
          path,
          parameters: [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''),
          handler: value as RouteHandler,
        })
    }
  }
  return { routes, others }
}

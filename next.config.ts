import type { NextConfig } from 'next'

/**
 * Security headers are not here: the middleware sends them, because the content security policy needs a nonce per
 * request. Images are served as they are: tenant logos are re-encoded on upload, so the optimiser endpoint stays off.
 */
const nextConfig: NextConfig = {
  reactStrictMode: true,
  poweredByHeader: false,
  typedRoutes: false,
  // Types are checked by `npm run check`, tests included; a build need not do it again.
  typescript: { ignoreBuildErrors: true },
  images: { unoptimized: true },
  // `next dev` blocks other origins; tenants live on subdomains of localhost and on custom domains such as portal.acme.test.
  allowedDevOrigins: ['**.localhost', '**.test'],
  serverExternalPackages: ['pg', 'pino', 'kysely', 'nodemailer', 'posthog-node'],
}

export default nextConfig

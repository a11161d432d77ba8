import { defineConfig, devices } from '@playwright/test'
import { findChromium } from './processes/dev-stack/chromium'
import { readDemo } from './tests/support/demo'

const PAGES = /(?:accessibility|roles)\.spec\.ts$/

// Against a running stack: npm test starts one of its own; by hand, npm start and then npx playwright test.
export default defineConfig({
  testDir: 'tests/e2e',
  outputDir: 'test-results',
  workers: 2,
  forbidOnly: true,
  timeout: 90_000,
  expect: { timeout: 20_000 },
  reporter: 'list',
  projects: [
    // What only looks at pages goes side by side, first; journeys change the demo's tenants, one after the other.
    { name: 'pages', testMatch: PAGES, fullyParallel: true },
    { name: 'journeys', testIgnore: PAGES, workers: 1, dependencies: ['pages'] },
  ],
  use: {
    ...devices['Desktop Chrome'],
    baseURL: readDemo().urls.dashboard,
    locale: 'en-GB',
    timezoneId: 'UTC',
    // Without a film of every step, which costs more than most steps do; the last picture of a failure is kept.
    trace: { mode: 'retain-on-failure', screenshots: false },
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: findChromium() ?? undefined,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--host-resolver-rules=MAP portal.acme.test 127.0.0.1',
      ],
    },
  },
})

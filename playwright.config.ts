import { defineConfig, devices } from '@playwright/test'
import { findChromium } from './processes/dev-stack/chromium'
import { readDemo } from './tests/support/demo'

const PAGES = /(?:accessibility|roles)\.spec\.ts$/
// Journeys that leave what acme counts as it is: beside those that change it.
const BESIDE = /(?:accounts|edge|forwarded|lists|long-names|newcomer|operator|portal)\.spec\.ts$/

// Against a running stack: npm test starts one of its own; by hand, npm start and then npx playwright test.
export default defineConfig({
  testDir: 'tests/e2e',
  outputDir: 'test-results',
  workers: 2,
  forbidOnly: true,
  timeout: 240_000,
  expect: { timeout: 30_000 },
  reporter: 'list',
  projects: [
    // What only looks at pages goes side by side, first; journeys change the demo's tenants, in two rows of one after the other.
    { name: 'pages', testMatch: PAGES, fullyParallel: true },
    { name: 'journeys', testIgnore: [PAGES, BESIDE], workers: 1, dependencies: ['pages'] },
    { name: 'beside', testMatch: BESIDE, workers: 1, dependencies: ['pages'] },
  ],
  use: {
    ...devices['Desktop Chrome'],
    baseURL: readDemo().urls.dashboard,
    locale: 'en-GB',
    timezoneId: 'UTC',
    // Emptied between two tests, and what it has loaded and compiled serves the next one: a new one costs more than most pages do.
    reuseContext: true,
    // Without a film and a copy of the page at every step, which cost more than most steps do; the last picture of a failure is kept.
    trace: { mode: 'retain-on-failure', screenshots: false, snapshots: false },
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

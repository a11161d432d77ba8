'use client'

import { CSPProvider } from '@base-ui/react/csp-provider'
import { Tooltip } from '@base-ui/react/tooltip'
import { ThemeProvider } from 'next-themes'
import { NuqsAdapter } from 'nuqs/adapters/next/app'
import { createContext, type ReactNode, useContext, useState } from 'react'
import { LiveRegion, RouteFocus } from '@/libs/ui/announcer'
import { ShortcutsProvider } from '@/libs/ui/shortcuts'
import { Toaster } from '@/libs/ui/toast'

const Nonce = createContext<string | undefined>(undefined)

/** The nonce of the content security policy of this page, for style and script elements. */
export function useNonce(): string | undefined {
  return useContext(Nonce)
}

// The script that sets the theme runs in the document the server wrote. In a page that is drawn anew, such as that of an error,
// it could not run, and React says so of any that is not marked as data.
const themeScript = typeof window === 'undefined' ? {} : { type: 'application/json' }

/** What every page stands on: theme, URL state, tooltips, shortcuts, toasts, live region, focus after navigation. */
export function Providers({ nonce: given, children }: { nonce?: string; children: ReactNode }) {
  // That of the document holds for as long as it is open; a refresh of the route brings another one, which does not.
  const [nonce] = useState(given)
  return (
    <Nonce value={nonce}>
      <CSPProvider nonce={nonce} disableStyleElements>
        <ThemeProvider
          attribute="class"
          defaultTheme="system"
          enableSystem
          enableColorScheme={false}
          disableTransitionOnChange
          storageKey="holdfast.theme"
          nonce={nonce}
          scriptProps={themeScript}
        >
          <NuqsAdapter>
            <Tooltip.Provider>
              <ShortcutsProvider>{children}</ShortcutsProvider>
            </Tooltip.Provider>
          </NuqsAdapter>
          <Toaster />
        </ThemeProvider>
      </CSPProvider>
      <LiveRegion />
      <RouteFocus />
    </Nonce>
  )
}

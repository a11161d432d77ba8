import { CodeSnippet } from '@/libs/ui/code-snippet'
import { httpSnippets } from '@/libs/ui/http-snippets'
import { t } from '@/libs/ui/messages'

/** The command that sends one event. */
export function TrackSnippet({ url }: { url: string }) {
  return (
    <CodeSnippet
      label={t('events.snippet')}
      snippets={httpSnippets({
        method: 'POST',
        url,
        body: { meter_id: 'api_calls', user_id: 'customer-1', event_value: 1 },
      })}
    />
  )
}

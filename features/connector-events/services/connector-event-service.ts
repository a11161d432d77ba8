import type { Page } from '@/libs/api-utils/page'
import { type ConnectorEventRow, ConnectorEventsService } from '@/libs/connectors/connector-events'
import { notFound } from '@/libs/errors'
import { isUuid } from '@/libs/ids'
import { readTimeRange } from '@/libs/tenancy/time-range'
import type { ConnectorEventListQuery } from '../schema'

/** One page of what went, or failed to go, through the tenant's connectors, newest first. */
export async function listConnectorEvents(query: ConnectorEventListQuery): Promise<Page<ConnectorEventRow>> {
  return ConnectorEventsService.listConnectorEvents({ ...query, ...(await readTimeRange(query)) })
}

/** One event by its id. @throws AppError `not_found` */
export async function getConnectorEvent(id: string): Promise<ConnectorEventRow> {
  const event = isUuid(id) ? await ConnectorEventsService.findConnectorEvent(id) : null
  if (!event) throw notFound()
  return event
}

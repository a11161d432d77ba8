import { z } from 'zod'
import { operation, pageOf } from '@/libs/api-utils/openapi'
import { pageQuery } from '@/libs/api-utils/page'
import {
  retried,
  stripeCustomer,
  stripeCustomerInput,
  stripeCustomerListQuery,
  stripeDelivery,
  stripeDeliveryListQuery,
  stripeExport,
  stripeExportInput,
  stripeExportPatch,
  stripeMeter,
  stripeMeterInput,
} from './schema'

const tag = 'Stripe'
const read = { tag, permission: 'stripe-exports:read' } as const
const write = { tag, permission: 'stripe-exports:write' } as const
const params = z.object({ id: z.uuid().meta({ description: 'Id of the connection' }) })
const meter = z.string().meta({ description: 'Id or slug of a meter', example: 'api_calls' })
const customer = z.string().meta({ description: 'Id or external id of a customer', example: 'customer-42' })
const delivery = params.extend({ delivery: z.uuid().meta({ description: 'Id of the delivery' }) })

export const paths = {
  '/api/v1/stripe-exports': {
    get: operation({
      ...read,
      summary: 'List connections to Stripe',
      description: 'Newest first; at most one of them is not disconnected.',
      query: pageQuery,
      success: [200, pageOf(stripeExport)],
    }),
    post: operation({
      ...write,
      summary: 'Connect your account at Stripe',
      description:
        'The key is sealed and never shown again. The worker tries it within seconds; `status` then says how it went. Nothing is pushed until a meter is mapped.',
      body: stripeExportInput,
      example: { secret_key: 'sk_test_the_key_of_your_account' },
      success: [201, stripeExport],
    }),
  },
  '/api/v1/stripe-exports/{id}': {
    get: operation({ ...read, summary: 'Get a connection to Stripe', params, success: [200, stripeExport] }),
    patch: operation({
      ...write,
      summary: 'Replace the key, hold back or resume',
      description: 'A new key must be of the same account and mode. What waits is sent once the key is accepted.',
      params,
      body: stripeExportPatch,
      example: { enabled: false },
      success: [200, stripeExport],
    }),
    delete: operation({
      ...write,
      summary: 'Disconnect Stripe',
      description: 'The key is forgotten, what was not sent never will be; what was sent stays listed.',
      params,
      success: [200, stripeExport],
    }),
  },
  '/api/v1/stripe-exports/{id}/push': {
    post: operation({
      ...write,
      summary: 'Push usage now',
      description: 'Otherwise usage is pushed a little after each full hour.',
      params,
      success: [200, stripeExport],
    }),
  },
  '/api/v1/stripe-exports/{id}/meters': {
    get: operation({
      ...read,
      summary: 'List meters with what is pushed of them',
      params,
      success: [200, pageOf(stripeMeter)],
    }),
  },
  '/api/v1/stripe-exports/{id}/meters/{meter}': {
    put: operation({
      ...write,
      summary: 'Push a meter',
      description:
        'SUM and COUNT only. The meter at Stripe must add up values (formula sum) and be active. Each event_name takes one meter.',
      params: params.extend({ meter }),
      body: stripeMeterInput,
      example: { event_name: 'api_calls' },
      success: [200, stripeMeter],
    }),
    delete: operation({
      ...write,
      summary: 'Push a meter no more',
      description:
        'Usage received from now on is not pushed, also not when the meter is added again. To pause, set `enabled` to false.',
      params: params.extend({ meter }),
      success: [204, null],
    }),
  },
  '/api/v1/stripe-exports/{id}/deliveries': {
    get: operation({
      ...read,
      summary: 'List what went to Stripe and what waits',
      description: 'Newest first. What was sent is listed for 90 days.',
      params,
      query: stripeDeliveryListQuery,
      success: [200, pageOf(stripeDelivery)],
    }),
  },
  '/api/v1/stripe-exports/{id}/deliveries/retry': {
    post: operation({ ...write, summary: 'Send all that failed again', params, success: [200, retried] }),
  },
  '/api/v1/stripe-exports/{id}/deliveries/{delivery}/retry': {
    post: operation({
      ...write,
      summary: 'Send a failed delivery again',
      description: 'Under the same identifier, by which Stripe recognises a repeat for 24 hours.',
      params: delivery,
      success: [200, stripeDelivery],
    }),
  },
  '/api/v1/stripe-exports/{id}/deliveries/{delivery}/skip': {
    post: operation({
      ...write,
      summary: 'Give up a failed delivery',
      description: 'For what was put right at Stripe by hand.',
      params: delivery,
      success: [200, stripeDelivery],
    }),
  },
  '/api/v1/stripe-exports/{id}/customers': {
    get: operation({
      ...read,
      summary: 'List customers with who they are at Stripe',
      params,
      query: stripeCustomerListQuery,
      success: [200, pageOf(stripeCustomer)],
    }),
  },
  '/api/v1/stripe-exports/{id}/customers/{customer}': {
    put: operation({
      ...write,
      summary: 'Link a customer to one that exists at Stripe',
      description:
        'Its usage goes there from the next increment that is sent. Without a link the worker makes a customer.',
      params: params.extend({ customer }),
      body: stripeCustomerInput,
      example: { stripe_customer_id: 'cus_ABC123' },
      success: [200, stripeCustomer],
    }),
  },
}

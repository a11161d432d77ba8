import { operation } from '@/libs/api-utils/openapi'
import { completeStepInput, onboardingChange, onboardingStatus } from './schema'

const tag = 'Onboarding'
const success: [200, typeof onboardingStatus] = [200, onboardingStatus]

export const paths = {
  '/api/v1/onboarding-status': {
    get: operation({
      summary: 'Get the first steps and which of them are done',
      tag,
      description:
        'Steps are ticked by what really happened, as far as the caller may see it. A pending tenant is opened once its first event has arrived.',
      permission: 'onboarding:read',
      success,
    }),
    patch: operation({
      summary: 'Put steps aside, or the whole list',
      tag,
      permission: 'onboarding:write',
      body: onboardingChange,
      example: { dismissed: true },
      success,
    }),
  },
  '/api/v1/onboard': {
    post: operation({
      summary: 'Start the first steps, or take them up again',
      tag,
      permission: 'onboarding:write',
      success,
    }),
  },
  '/api/v1/onboard/complete-step': {
    post: operation({
      summary: 'Tick a step that is done, or skip it',
      tag,
      permission: 'onboarding:write',
      body: completeStepInput,
      example: { step: 'create_meter', skip: true },
      success,
    }),
  },
}

/** A rule over several fields: it is only asked when each of them is right by itself, so that it never speaks of one that is not. */
export const whenFieldsAreRight = { when: ({ issues }: { issues: readonly unknown[] }) => issues.length === 0 }

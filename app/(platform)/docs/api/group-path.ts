/** Address of the page that shows a group of operations. */
export function groupPath({ id }: { id: string }): string {
  return `/docs/api/${id}`
}

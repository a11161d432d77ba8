/** `Images rendered (HD)` as `images_rendered_hd`: the name in calls of something that was given only one for people. */
export function slugOf(name: string): string {
  return name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 64)
    .replaceAll(/^_+|_+$/g, '')
}

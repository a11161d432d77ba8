import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { t } from '@/libs/ui/messages'
import { GroupReference } from '../group-reference'
import { readReference } from '../read-reference'

type Props = { params: Promise<{ group: string }> }

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  const { group: id } = await params
  const group = (await readReference()).groups.find((one) => one.id === id)
  return { title: group ? t('docs.api.groupTitle', { group: group.tag }) : t('docs.api.title') }
}

/** The operations of one group, from the same schemas the routes check. */
export default async function ApiGroupPage({ params }: Props) {
  const { group: id } = await params
  const { document, groups } = await readReference()
  const group = groups.find((one) => one.id === id)
  if (!group) notFound()
  return <GroupReference document={document} groups={groups} group={group} />
}

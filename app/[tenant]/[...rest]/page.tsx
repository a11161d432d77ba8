import { notFound } from 'next/navigation'

/** Every other address of the dashboard: said within its frame, where the way on is. */
export default function NoSuchPage(): never {
  notFound()
}

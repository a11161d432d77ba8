/** `current` is the tenant that host, header, token or key name. */
export { GET } from '../../../tenant/info/route'

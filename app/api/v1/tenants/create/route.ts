/** The same under the name that clients of older systems call. */
export { POST } from '../route'

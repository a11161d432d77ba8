const UUID = 2950
const TEXT = 25
const INT4 = 23
const JSONB = 3802
const HEADER = 20
/** Bytes of the longest UTF-8 encoding of one UTF-16 unit. */
const MOST_BYTES = 3
const NULL = -1

/** One dimension from 1, as array_recv reads it: dimensions, whether nulls occur, type of the elements, count, lower bound. */
function writeHeader(buffer: Buffer, type: number, length: number, hasNulls: boolean): void {
  buffer.writeInt32BE(1, 0)
  buffer.writeInt32BE(hasNulls ? 1 : 0, 4)
  buffer.writeInt32BE(type, 8)
  buffer.writeInt32BE(length, 12)
  buffer.writeInt32BE(1, 16)
}

/**
 * A list of whole numbers as integer[] in the binary format of the protocol, in which nothing is quoted here or parsed
 * there: what a statement gets a thousand of is worth it.
 */
export function int4Array(numbers: readonly number[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + numbers.length * 8)
  writeHeader(buffer, INT4, numbers.length, false)
  let at = HEADER
  for (const number of numbers) {
    buffer.writeInt32BE(4, at)
    buffer.writeInt32BE(number, at + 4)
    at += 8
  }
  return buffer
}

/** A list of UUIDs, with or without hyphens, as uuid[] in binary format. */
export function uuidArray(ids: readonly string[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + ids.length * 20)
  writeHeader(buffer, UUID, ids.length, false)
  let at = HEADER
  for (const id of ids) {
    buffer.writeInt32BE(16, at)
    const written = buffer.write(id.length === 32 ? id : id.replaceAll('-', ''), at + 4, 16, 'hex')
    if (written !== 16) throw new TypeError('This is no UUID.')
    at += 20
  }
  return buffer
}

/** A list of texts and nulls as text[] in binary format. */
export function textArray(texts: readonly (string | null)[]): Buffer {
  return writeTexts(texts, TEXT, false)
}

/** A list of JSON texts and nulls as jsonb[] in binary format. */
export function jsonbArray(texts: readonly (string | null)[]): Buffer {
  return writeTexts(texts, JSONB, true)
}

function writeTexts(texts: readonly (string | null)[], type: number, versioned: boolean): Buffer {
  let most = HEADER
  let hasNulls = false
  for (const text of texts) {
    if (text === null) hasNulls = true
    most += 5 + (text === null ? 0 : text.length * MOST_BYTES)
  }
  const buffer = Buffer.allocUnsafe(most)
  writeHeader(buffer, type, texts.length, hasNulls)
  let at = HEADER
  for (const text of texts) {
    if (text === null) {
      buffer.writeInt32BE(NULL, at)
      at += 4
      continue
    }
    const start = at + 4
    let end = start
    // jsonb is preceded by the version of its format.
    if (versioned) buffer[end++] = 1
    end += buffer.write(text, end, 'utf8')
    buffer.writeInt32BE(end - start, at)
    at = end
  }
  return buffer.subarray(0, at)
}

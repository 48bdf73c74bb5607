// Heap bytes: what texts in a Map or Set cost in V8, for an honest account of memory.

/**
 * Bytes of a Map or Set of `size` texts of `textLength` characters in all. V8's ordered hash table (deterministic hashing, Close 2011) doubles
 * its room from 4 on, each place `words` words long (Map 3, Set 2) and half a word of buckets; a text is two words and its characters.
 */
export function heapBytes(size: number, of: { readonly words: number; readonly textLength: number }): number {
  const room = 2 ** Math.ceil(Math.log2(Math.max(4, size)));
  // Characters are rounded up to whole words: half a word more on average.
  return 8 * (room * (of.words + 0.5) + size * 2.5) + of.textLength;
}

// Sampling: whether a transaction is shadowed, decided by its id alone, so that every server and every run agrees.

/** True for about `share` of all ids. FNV-1a (Fowler, Noll, Vo), finished by the mixer of MurmurHash3 (Appleby). */
export function isSampled(transactionId: string, share: number): boolean {
  if (share >= 1) return true;
  let hash = 0x811c9dc5;
  for (let i = 0; i < transactionId.length; i++) hash = Math.imul(hash ^ transactionId.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4_294_967_296 < share;
}

// The hash of an id: two words of 32 bits in one pass, without an allocation.

/** The two words of the id that was hashed last. */
export const ID_HASH = new Uint32Array(2);

/** FNV-1a's loop with MurmurHash3's finish, both public domain; into {@link ID_HASH}. */
export function hashId(id: string): void {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
    b ^= b >>> 15;
  }
  ID_HASH[0] = finish(a ^ id.length);
  ID_HASH[1] = finish(b ^ Math.imul(a, 0xc2b2ae35));
}

function finish(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

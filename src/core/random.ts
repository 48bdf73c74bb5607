// Seeded randomness: xoshiro128** and the distributions drawn from it; the same seed gives the same stream for ever.

/**
 * A random stream. Source: Blackman & Vigna, "Scrambled Linear Pseudorandom Number Generators" (2018), xoshiro128**;
 * seeded through splitmix32.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;
  private spareNormal = Number.NaN;

  constructor(seed: number) {
    let state = (seed ^ 0x9e3779b9) >>> 0;
    // Seeds beyond 32 bits keep their upper half.
    state = (state ^ Math.floor(Math.abs(seed) / 2 ** 32)) >>> 0;
    const split = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    this.a = split();
    this.b = split();
    this.c = split();
    this.d = split() | 1;
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const result = Math.imul(rotl(Math.imul(this.b, 5), 7), 9) >>> 0;
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = rotl(this.d, 11);
    return result;
  }

  /** Uniform in [0, 1) with 53 bits. */
  next(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** Uniform in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Uniform integer in [0, n); n at most 2^32. Rejects the biased tail. */
  integer(n: number): number {
    const limit = 4294967296 - (4294967296 % n);
    let bits = this.bits();
    while (bits >= limit) bits = this.bits();
    return bits % n;
  }

  /** Normal deviate, Box-Muller. */
  normal(mean = 0, deviation = 1): number {
    if (!Number.isNaN(this.spareNormal)) {
      const spare = this.spareNormal;
      this.spareNormal = Number.NaN;
      return mean + deviation * spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    const angle = 2 * Math.PI * this.next();
    this.spareNormal = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** Poisson deviate by Knuth's product of uniforms; meant for small means (cost grows with the mean). */
  poisson(mean: number): number {
    const limit = Math.exp(-mean);
    let count = 0;
    let product = this.next();
    while (product > limit) {
      count++;
      product *= this.next();
    }
    return count;
  }

  /** An independent stream for one part of the work, so that adding draws in one part leaves the others as they were. */
  fork(label: number): Random {
    return new Random(this.forkSeed(label));
  }

  /** The 32-bit seed of {@link fork}'s stream, for those who draw from it elsewhere. */
  forkSeed(label: number): number {
    return (this.bits() ^ Math.imul(label + 1, 0x9e3779b1)) >>> 0;
  }

  /** Shuffles in place (Fisher-Yates). */
  shuffle(values: Int32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = values[i];
      values[i] = values[j];
      values[j] = kept;
    }
  }
}

function rotl(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

// Gathered: bytes put together as they come, so that a body of one-byte chunks costs its bytes and not an object per byte.

/** Room of a first copy; smaller ones would be made again at once. */
const ROOM_MIN = 1024;

/** What has come and was not taken yet. The first chunk is kept as it is: most bodies are one. */
export class Gathered {
  length = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private own = false;

  add(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.length === 0 && !this.own) {
      this.bytes = chunk;
      this.length = chunk.length;
      return;
    }
    const needed = this.length + chunk.length;
    if (!this.own || needed > this.bytes.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(ROOM_MIN, needed * 2));
      room.set(this.bytes.subarray(0, this.length));
      this.bytes = room;
      this.own = true;
    }
    this.bytes.set(chunk, this.length);
    this.length = needed;
  }

  /** All of it, and nothing is left. */
  take(): Uint8Array {
    const whole = this.bytes.subarray(0, this.length);
    this.bytes = new Uint8Array(0);
    this.length = 0;
    this.own = false;
    return whole;
  }
}

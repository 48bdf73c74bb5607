// Vectors of requests, cut from larger pieces of memory: an array of its own for each costs more than filling it, and again when it is collected.

/** Vectors in one piece; it lives as long as one of them. */
const ROWS_PER_PIECE = 128;

/** Gives vectors of zeros. */
export class Vectors {
  private piece: ArrayBuffer | null = null;
  private at = 0;

  next(width: number): Float32Array {
    const bytes = width * Float32Array.BYTES_PER_ELEMENT;
    if (this.piece === null || this.at + bytes > this.piece.byteLength) {
      this.piece = new ArrayBuffer(bytes * ROWS_PER_PIECE);
      this.at = 0;
    }
    const vector = new Float32Array(this.piece, this.at, width);
    this.at += bytes;
    return vector;
  }
}

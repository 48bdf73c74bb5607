// Lanes: the inner loop of histograms, eight columns at a time into eight arrays of fixed length.

/** Columns summed in one pass; row-major bins are padded to a multiple of it. */
export const LANES = 8;

// Constant arrays of 256 slots, indexed by a byte, spare the engine every bounds check: half the time of one loop over
// columns into one large array. Shared by all callers, since a sum begins and ends within one call.
const LANE_0 = new Float64Array(256);
const LANE_1 = new Float64Array(256);
const LANE_2 = new Float64Array(256);
const LANE_3 = new Float64Array(256);
const LANE_4 = new Float64Array(256);
const LANE_5 = new Float64Array(256);
const LANE_6 = new Float64Array(256);
const LANE_7 = new Float64Array(256);
const ALL = [LANE_0, LANE_1, LANE_2, LANE_3, LANE_4, LANE_5, LANE_6, LANE_7];

/** Sums of the lanes' last pass, one array of 256 a column. */
export function laneSums(lane: number): Float64Array {
  return ALL[lane];
}

/**
 * Kernel: per bin of the eight columns from `first` on, the sum of `packed` over the first `count` rows. Row r's bins begin
 * at `bins[r * stride]`.
 */
export function sumLanes(
  packed: Float64Array,
  bins: Uint8Array,
  options: { readonly count: number; readonly stride: number; readonly first: number },
): void {
  const { count, stride, first } = options;
  for (const lane of ALL) lane.fill(0);
  let at = first;
  for (let i = 0; i < count; i++) {
    const value = packed[i];
    LANE_0[bins[at]] += value;
    LANE_1[bins[at + 1]] += value;
    LANE_2[bins[at + 2]] += value;
    LANE_3[bins[at + 3]] += value;
    LANE_4[bins[at + 4]] += value;
    LANE_5[bins[at + 5]] += value;
    LANE_6[bins[at + 6]] += value;
    LANE_7[bins[at + 7]] += value;
    at += stride;
  }
}

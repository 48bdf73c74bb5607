// Logistic regression of a few columns by Newton's method, for calibration.

const ROUNDS_MAX = 100;
const STEP_MIN = 1e-10;

/** L2 penalty per row, so small that it only matters where the data would send a coefficient to infinity. */
const RIDGE = 1e-6;

/** Coefficients: intercept, then one per column. Steps are halved while they do not lower the loss. */
export function fitLogistic(columns: readonly Float64Array[], y: Uint8Array): number[] {
  let coefficients = new Array<number>(columns.length + 1).fill(0);
  let loss = penalisedLoss(columns, y, coefficients);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const step = newtonStep(columns, y, coefficients);
    let scale = 1;
    let next = coefficients.map((value, i) => value - step[i]);
    let nextLoss = penalisedLoss(columns, y, next);
    while (!(nextLoss <= loss) && scale > STEP_MIN) {
      scale /= 2;
      next = coefficients.map((value, i) => value - scale * step[i]);
      nextLoss = penalisedLoss(columns, y, next);
    }
    if (!(nextLoss <= loss)) break;
    coefficients = next;
    const gained = loss - nextLoss;
    loss = nextLoss;
    if (gained <= STEP_MIN * Math.abs(loss) && Math.max(...step.map(Math.abs)) * scale < 1e-8) break;
  }
  return coefficients;
}

function marginOf(columns: readonly Float64Array[], row: number, coefficients: readonly number[]): number {
  let margin = coefficients[0];
  for (let c = 0; c < columns.length; c++) margin += coefficients[c + 1] * columns[c][row];
  return margin;
}

function penalisedLoss(columns: readonly Float64Array[], y: Uint8Array, coefficients: readonly number[]): number {
  let loss = 0;
  for (let r = 0; r < y.length; r++) {
    const margin = marginOf(columns, r, coefficients);
    const against = y[r] === 1 ? -margin : margin;
    loss += Math.max(against, 0) + Math.log1p(Math.exp(-Math.abs(against)));
  }
  for (const value of coefficients) loss += (RIDGE * y.length * value * value) / 2;
  return loss;
}

/** Inverse Hessian times gradient of the penalised loss. */
function newtonStep(columns: readonly Float64Array[], y: Uint8Array, coefficients: readonly number[]): number[] {
  const size = coefficients.length;
  const gradient = coefficients.map((value) => RIDGE * y.length * value);
  const hessian = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => (i === j ? RIDGE * y.length : 0)),
  );
  const inputs = new Array<number>(size).fill(1);
  for (let r = 0; r < y.length; r++) {
    for (let c = 0; c < columns.length; c++) inputs[c + 1] = columns[c][r];
    const p = 1 / (1 + Math.exp(-marginOf(columns, r, coefficients)));
    for (let i = 0; i < size; i++) {
      gradient[i] += (p - y[r]) * inputs[i];
      for (let j = 0; j < size; j++) hessian[i][j] += p * (1 - p) * inputs[i] * inputs[j];
    }
  }
  return solve(hessian, gradient);
}

/** Gaussian elimination; the matrix is positive definite, so no pivot is 0. Changes its arguments. */
function solve(matrix: number[][], right: number[]): number[] {
  const size = right.length;
  for (let pivot = 0; pivot < size; pivot++) {
    for (let row = pivot + 1; row < size; row++) {
      const factor = matrix[row][pivot] / matrix[pivot][pivot];
      for (let column = pivot; column < size; column++) matrix[row][column] -= factor * matrix[pivot][column];
      right[row] -= factor * right[pivot];
    }
  }
  for (let row = size - 1; row >= 0; row--) {
    for (let column = row + 1; column < size; column++) right[row] -= matrix[row][column] * right[column];
    right[row] /= matrix[row][row];
  }
  return right;
}

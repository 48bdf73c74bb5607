// Before any test: the learning kernels are compiled, if their sources are newer than what is there.
import { buildKernels } from "../scripts/build-kernels.mjs";

export async function setup(): Promise<void> {
  await buildKernels();
}

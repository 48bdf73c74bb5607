// Types of build-kernels.mjs, for the tests that call it.
export declare const KERNELS: readonly string[];
export declare function buildKernels(): Promise<void>;

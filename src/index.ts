// The package's public face: what a workspace's features/*.ts and a program that embeds Sentinel import.
export { SentinelError } from "./core/errors.ts";
export type { DeclaredColumns, Duration, FeatureBuilder } from "./features/builder.ts";
export { declareColumns } from "./features/builder.ts";
export type { FeatureDef, FeatureSpec, OpenSpec } from "./features/definition.ts";

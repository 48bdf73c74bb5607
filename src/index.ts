// The package's public face: what a workspace's features/*.ts and a program that embeds Sentinel import.
export { SentinelError } from "./core/errors.ts";

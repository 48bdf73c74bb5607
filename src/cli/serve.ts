// The verb serve, not written yet.
import type { Verb } from "./verb.ts";
export declare const verb: Verb;

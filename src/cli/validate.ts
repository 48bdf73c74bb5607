// The verb validate, not written yet.
import type { Verb } from "./verb.ts";
export declare const verb: Verb;

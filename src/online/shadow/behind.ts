// Imported by a candidate's thread before its module: a low priority, whatever the candidate does.
import { lowerOwnPriority } from "../../core/priority.ts";

/** A candidate that spins takes a quarter of a processor that the server needs too; one that works needs less and must not starve. */
const STEPS_BEHIND = 5;

lowerOwnPriority(STEPS_BEHIND);

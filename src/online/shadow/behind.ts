// Imported by a candidate's thread before its module: a low priority, whatever the candidate does.
import { lowerOwnPriority } from "../../core/priority.ts";

/** Behind those that answer, but one that works must not starve where others keep the processors busy: it would pass for one that hangs. */
const STEPS_BEHIND = 3;

lowerOwnPriority(STEPS_BEHIND);

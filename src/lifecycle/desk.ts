// The desk: cases that alerts open, what people do with them, and the labels that closing them writes.
export { actOn, type DeskRules, deskRules, nextCase } from "./desk/act.ts";
export { Desk } from "./desk/follow.ts";

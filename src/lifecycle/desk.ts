// The desk: cases that alerts open, what people do with them, the labels that closing them writes, and who hears of what.
export { actOn, type DeskRules, deskRules, nextCase } from "./desk/act.ts";
export { ENTITY_ENTRIES_MAX, ENTITY_TRANSACTIONS_MAX, lookAtEntity } from "./desk/entity.ts";
export type { Buried } from "./desk/events.ts";
export { Desk } from "./desk/follow.ts";
export { type LetterNotices, letterNotices } from "./desk/letters.ts";
export { messagesOf, type Notices } from "./desk/notices.ts";
export { Notifier } from "./desk/notify.ts";

// English names of weekdays and months in lower case, from Monday and from January, as Python's readers of dates know them.

export const WEEKDAYS: readonly string[] = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
];
export const MONTHS: readonly string[] = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
/** Of the names, as both abbreviate them. */
export const abbreviated = (names: readonly string[]): string[] => names.map((name) => name.slice(0, 3));

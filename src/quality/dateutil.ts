// Whether Python's dateutil.parser would read a text as a date: its grammar of tokens, with its defaults (month before day, no fuzziness).
import { dateTokens } from "./dateutil/tokens.ts";
import { DateWords } from "./dateutil/words.ts";
import { YearMonthDay } from "./dateutil/year-month-day.ts";

/** Longer texts are no dates; dateutil would try. */
const LENGTH_MAX = 500;

/**
 * dateutil fills what a text does not name from today's date, so that "31" is a date in May and none in June: here any month and
 * leap year will do, and the answer is the same on every day.
 */
export function isParseableDate(text: string): boolean {
  if (text.length > LENGTH_MAX) return false;
  const reading = new Reading(dateTokens(text));
  return reading.isDate();
}

/** What a text said so far. */
class Reading {
  private readonly tokens: string[];
  private readonly ymd = new YearMonthDay();
  private hour: number | null = null;
  private minute: number | null = null;
  private second: number | null = null;
  private weekday = false;
  private zoneName: string | null = null;
  private zoneOffset = false;
  private halfDay = false;

  constructor(tokens: readonly string[]) {
    this.tokens = [...tokens];
  }

  isDate(): boolean {
    for (let at = 0; at < this.tokens.length; at++) {
      const next = this.take(at);
      if (next < 0) return false;
      at = next;
    }
    const date = this.ymd.resolve();
    if (date === null) return false;
    const { hour, minute, second } = this;
    const saysNothing = date.empty && hour === null && minute === null && second === null && !this.weekday;
    if (saysNothing && this.zoneName === null && !this.zoneOffset && !this.halfDay) return false;
    const isIn = (value: number | null, limit: number): boolean => value === null || (value >= 0 && value < limit);
    return date.exists && isIn(hour, 24) && isIn(minute, 60) && isIn(second, 60);
  }

  /** Takes the token at a place; answers the last place that was read, −1 where the text is no date. */
  private take(at: number): number {
    const { tokens } = this;
    const token = tokens[at];
    if (/^\d/.test(token) || /^\.\d/.test(token)) return this.takeNumber(at);
    if (/^(nan|inf|infinity)$/i.test(token)) return -1;
    if (DateWords.weekday(token)) {
      this.weekday = true;
      return at;
    }
    const month = DateWords.month(token);
    if (month !== null) return this.takeMonth(at, month);
    const half = DateWords.half(token);
    if (half !== null) return this.takeHalf(half) ? at : -1;
    if (this.couldBeZone(token)) return this.takeZone(at);
    if (this.hour !== null && (token === "+" || token === "-")) return this.takeOffset(at);
    return DateWords.jump(token) ? at : -1;
  }

  private takeMonth(at: number, month: number): number {
    const { tokens, ymd } = this;
    if (!ymd.add(month, "M")) return -1;
    const sign = tokens[at + 1];
    if (sign === "-" || sign === "/") {
      if (!ymd.addText(tokens[at + 2])) return -1;
      if (at + 3 >= tokens.length || tokens[at + 3] !== sign) return at + 2;
      return ymd.addText(tokens[at + 4]) ? at + 4 : -1;
    }
    // "January of 24".
    const isOf =
      at + 4 < tokens.length && sign === " " && tokens[at + 3] === " " && tokens[at + 2].toLowerCase() === "of";
    if (!isOf) return at;
    if (/^\d+$/.test(tokens[at + 4]) && !ymd.addYear(Number(tokens[at + 4]))) return -1;
    return at + 4;
  }

  private takeHalf(half: "am" | "pm"): boolean {
    if (this.hour === null || this.hour < 0 || this.hour > 12) return false;
    this.hour = inHalf(this.hour, half);
    this.halfDay = true;
    return true;
  }

  private couldBeZone(token: string): boolean {
    if (this.hour === null || this.zoneName !== null || this.zoneOffset || token.length > 5) return false;
    return /^[A-Z]+$/.test(token) || token === "z";
  }

  private takeZone(at: number): number {
    this.zoneName = this.tokens[at];
    const isUtc = DateWords.utc(this.zoneName);
    this.zoneOffset = isUtc;
    const sign = this.tokens[at + 1];
    if (sign !== "+" && sign !== "-") return at;
    // "GMT+3" is three hours after GMT for people, and before it in POSIX.
    this.tokens[at + 1] = sign === "+" ? "-" : "+";
    this.zoneOffset = false;
    if (isUtc) this.zoneName = null;
    return at;
  }

  private takeOffset(at: number): number {
    const { tokens } = this;
    const digits = tokens[at + 1];
    if (digits === undefined) return -1;
    const isWhole = (text: string | undefined): boolean => text !== undefined && /^\d+$/.test(text);
    let end = at;
    if (digits.length === 4) {
      if (!isWhole(digits)) return -1;
    } else if (tokens[at + 2] === ":") {
      if (!isWhole(digits) || !isWhole(tokens[at + 3])) return -1;
      end += 2;
    } else if (digits.length > 2 || !isWhole(digits)) return -1;
    this.zoneOffset = true;
    const name = tokens[end + 4];
    const named =
      end + 5 < tokens.length &&
      DateWords.jump(tokens[end + 2]) &&
      tokens[end + 3] === "(" &&
      tokens[end + 5] === ")" &&
      name.length >= 3 &&
      name.length <= 5 &&
      this.zoneName === null &&
      /^[A-Z]+$/.test(name);
    if (named) {
      this.zoneName = name;
      end += 4;
    }
    return end + 1;
  }

  private takeNumber(at: number): number {
    const { tokens, ymd } = this;
    const token = tokens[at];
    const next = tokens[at + 1];
    const { length } = token;
    const isAlone = next === undefined || (next !== ":" && DateWords.unit(next) === null);
    if (ymd.size === 3 && (length === 2 || length === 4) && this.hour === null && isAlone) {
      const ok = this.setHour(token.slice(0, 2)) && (length === 2 || this.setMinute(token.slice(2)));
      return ok ? at : -1;
    }
    if (length === 6 || (length > 6 && token.indexOf(".") === 6)) {
      if (ymd.size === 0 && !token.includes("."))
        return this.addAll([token.slice(0, 2), token.slice(2, 4), token.slice(4)], at);
      const ok = this.setHour(token.slice(0, 2)) && this.setMinute(token.slice(2, 4)) && this.setSecond(token.slice(4));
      return ok ? at : -1;
    }
    if (length === 8 || length === 12 || length === 14) return this.takeDigits(at);
    const unitAt = this.unitPlace(at);
    if (unitAt !== null) return this.takeUnit(at, unitAt);
    if (at + 2 < tokens.length && next === ":") return this.takeClock(at);
    if (next === "-" || next === "/" || next === ".") return this.takeDate(at, next);
    return this.takeLoose(at);
  }

  private takeDigits(at: number): number {
    const token = this.tokens[at];
    const { ymd } = this;
    const ok = ymd.addText(token.slice(0, 4), "Y") && ymd.addText(token.slice(4, 6)) && ymd.addText(token.slice(6, 8));
    if (!ok) return -1;
    if (token.length === 8) return at;
    if (!this.setHour(token.slice(8, 10)) || !this.setMinute(token.slice(10, 12))) return -1;
    if (token.length === 14 && !/^\d+$/.test(token.slice(12))) return -1;
    if (token.length === 14) this.second = Number(token.slice(12));
    return at;
  }

  /** Where the word for hours, minutes or seconds stands that belongs to a number. */
  private unitPlace(at: number): number | null {
    const { tokens } = this;
    const isUnit = (place: number): boolean =>
      place >= 0 && place < tokens.length && DateWords.unit(tokens[place]) !== null;
    if (isUnit(at + 1)) return at + 1;
    if (tokens[at + 1] === " " && isUnit(at + 2)) return at + 2;
    if (at > 0 && isUnit(at - 1)) return at - 1;
    if (at > 1 && at === tokens.length - 1 && tokens[at - 1] === " " && isUnit(at - 2)) return at - 2;
    return null;
  }

  private takeUnit(at: number, unitAt: number): number {
    const token = this.tokens[at];
    const value = Number(token);
    const unit = DateWords.unit(this.tokens[unitAt])! + (unitAt > at ? 0 : 1);
    if (unit === 0) {
      this.hour = Math.floor(value);
      if (value % 1 !== 0) this.minute = Math.floor(60 * (value % 1));
    } else if (unit === 1) this.setMinuteAndSecond(value);
    else if (unit === 2 && !this.setSecond(token)) return -1;
    return Math.max(at, unitAt);
  }

  private takeClock(at: number): number {
    const { tokens } = this;
    this.hour = Math.floor(Number(tokens[at]));
    const minutes = tokens[at + 2];
    if (!isNumber(minutes)) return -1;
    this.setMinuteAndSecond(Number(minutes));
    if (at + 4 >= tokens.length || tokens[at + 3] !== ":") return at + 2;
    return this.setSecond(tokens[at + 4]) ? at + 4 : -1;
  }

  private takeDate(at: number, sign: string): number {
    const { tokens, ymd } = this;
    if (!ymd.addText(tokens[at])) return -1;
    const second = tokens[at + 2];
    if (second === undefined || DateWords.jump(second)) return at + 1;
    if (!this.addPart(second, /^\d+$/.test(second))) return -1;
    if (tokens[at + 3] !== sign) return at + 2;
    const third = tokens[at + 4];
    if (third === undefined) return -1;
    return this.addPart(third, DateWords.month(third) === null) ? at + 4 : -1;
  }

  private addPart(token: string, isNumeric: boolean): boolean {
    if (isNumeric) return this.ymd.addText(token);
    const month = DateWords.month(token);
    return month !== null && this.ymd.add(month, "M");
  }

  /** A number with nothing that says what it is. */
  private takeLoose(at: number): number {
    const { tokens, ymd } = this;
    const value = Number(tokens[at]);
    const next = tokens[at + 1];
    if (next === undefined || DateWords.jump(next)) {
      const half = at + 2 < tokens.length ? DateWords.half(tokens[at + 2]) : null;
      if (half !== null) {
        this.hour = inHalf(Math.floor(value), half);
        return at + 2;
      }
      return ymd.add(value) ? at + 1 : -1;
    }
    const half = DateWords.half(next);
    if (half !== null && value >= 0 && value < 24) {
      this.hour = inHalf(Math.floor(value), half);
      return at + 1;
    }
    return ymd.couldBeDay(value) && ymd.add(value) ? at : -1;
  }

  private addAll(parts: readonly string[], at: number): number {
    return parts.every((part) => this.ymd.addText(part)) ? at : -1;
  }

  private setHour(text: string): boolean {
    this.hour = Number(text);
    return /^\d+$/.test(text);
  }

  private setMinute(text: string): boolean {
    this.minute = Number(text);
    return /^\d+$/.test(text);
  }

  private setMinuteAndSecond(value: number): void {
    this.minute = Math.floor(value);
    if (value % 1 !== 0) this.second = Math.floor(60 * (value % 1));
  }

  private setSecond(text: string): boolean {
    this.second = Number(text.split(".")[0]);
    return /^\d+(\.\d*)?$/.test(text);
  }
}

function inHalf(hour: number, half: "am" | "pm"): number {
  if (half === "pm" && hour < 12) return hour + 12;
  return half === "am" && hour === 12 ? 0 : hour;
}

function isNumber(text: string): boolean {
  return /^(\d+\.?\d*|\.\d+)$/.test(text);
}

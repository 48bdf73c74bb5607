// Up to three numbers of a date, and which of them is the year, the month, the day, by dateutil's rules.

type Role = "Y" | "M" | "D";

/** Days of each month of a leap year. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Two-digit years are of this century or the last; which of them changes only whether 29 February exists in 00. */
const CENTURY = 2000;
const YEAR_MAX = 9999;

export class YearMonthDay {
  private readonly numbers: number[] = [];
  private readonly places = new Map<Role, number>();
  private century = false;

  get size(): number {
    return this.numbers.length;
  }

  /** False where it cannot be. */
  add(value: number, role?: Role): boolean {
    if (value <= 100) return this.place(value, role);
    this.century = true;
    return (role === undefined || role === "Y") && this.place(value, "Y");
  }

  addText(text: string | undefined, role?: Role): boolean {
    if (text === undefined || !/^\d+$/.test(text)) return false;
    if (text.length <= 2) return this.place(Number(text), role);
    this.century = true;
    return (role === undefined || role === "Y") && this.place(Number(text), "Y");
  }

  /** A year that is named as such, of two digits or more. */
  addYear(year: number): boolean {
    return this.place(year < 100 ? year + CENTURY : year, "Y");
  }

  couldBeDay(value: number): boolean {
    if (this.places.has("D")) return false;
    const month = this.places.get("M");
    if (month === undefined) return value >= 1 && value <= 31;
    const year = this.places.get("Y");
    const last = year === undefined ? DAYS[this.numbers[month] - 1] : lastDay(this.numbers[year], this.numbers[month]);
    return value >= 1 && value <= last;
  }

  /** Whether there is such a date; null where the numbers are too many. */
  resolve(): { readonly empty: boolean; readonly exists: boolean } | null {
    const { numbers } = this;
    if (numbers.length === 0) return { empty: true, exists: true };
    if (numbers.length > 3) return null;
    const [year, month, day] = this.named() ?? this.guessed();
    return { empty: false, exists: exists(this.wholeYear(year), month, day) };
  }

  private place(value: number, role?: Role): boolean {
    if (role !== undefined) {
      if (this.places.has(role)) return false;
      this.places.set(role, this.numbers.length);
    }
    this.numbers.push(Math.floor(value));
    return true;
  }

  /** Where as many numbers have a role as there are, or all but one of three. */
  private named(): Triple | null {
    const { numbers, places } = this;
    const isNamed = numbers.length === places.size || (numbers.length === 3 && places.size === 2);
    if (!isNamed) return null;
    const free = [0, 1, 2].find((place) => ![...places.values()].includes(place));
    const of = (role: Role): number | null => {
      const place = places.get(role) ?? (numbers.length === 3 ? free : undefined);
      return place === undefined ? null : numbers[place];
    };
    return [of("Y"), of("M"), of("D")];
  }

  private guessed(): Triple {
    const [a, b, c] = this.numbers;
    const month = this.places.get("M");
    if (this.numbers.length === 1) return a > 31 ? [a, null, null] : [null, null, a];
    if (this.numbers.length === 2) {
      if (month !== undefined) {
        const other = month === 0 ? b : a;
        return other > 31 ? [other, this.numbers[month], null] : [null, this.numbers[month], other];
      }
      if (a > 31) return [a, b, null];
      return b > 31 ? [b, a, null] : [null, a, b];
    }
    if (month === 0) return b > 31 ? [b, a, c] : [c, a, b];
    if (month === 1) return a > 31 ? [a, b, c] : [c, b, a];
    if (month === 2) return b > 31 ? [b, c, a] : [a, c, b];
    if (a > 31 || this.places.get("Y") === 0) return [a, b, c];
    return a > 12 ? [c, b, a] : [c, a, b];
  }

  private wholeYear(year: number | null): number | null {
    return year !== null && year < 100 && !this.century ? year + CENTURY : year;
  }
}

/** Year, month, day; null where it is not named. */
type Triple = readonly [number | null, number | null, number | null];

function exists(year: number | null, month: number | null, day: number | null): boolean {
  if (year !== null && (year < 1 || year > YEAR_MAX)) return false;
  if (month !== null && (month < 1 || month > 12)) return false;
  if (day === null) return true;
  const last = month === null ? 31 : year === null ? DAYS[month - 1] : lastDay(year, month);
  return day >= 1 && day <= last;
}

function lastDay(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && !leap ? 28 : DAYS[month - 1];
}

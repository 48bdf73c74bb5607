// What to write instead of a subquery: an aggregate over somebody's own past is a window.

const PLAIN = "refer to columns and features by name; of lists ask x IN (SELECT value FROM list_name)";
/** So much of the text is looked at: the pattern below goes back over spaces. */
const LOOKED_AT = 500;
const AGGREGATE =
  /^SELECT (AVG|SUM|COUNT|MIN|MAX|STDDEV|STDDEV_SAMP) ?\( ?(DISTINCT )?([\w.]+|\*) ?\)( ?[*/+-] ?[\d.]+)?(?: (?:AS )?\w+)? FROM \S+(?: (?:AS )?\w+)? WHERE ([\w.]+) ?=/i;

const WINDOW: Readonly<Record<string, string>> = {
  avg: "avg_last",
  sum: "sum_last",
  min: "min_last",
  max: "max_last",
  stddev: "stddev_last",
  stddev_samp: "stddev_last",
};

/** The way out for a subquery that begins with `text`. */
export function subqueryHint(text: string): string {
  const found = AGGREGATE.exec(text.slice(0, LOOKED_AT).replace(/\s+/g, " "));
  if (found === null) return PLAIN;
  const [, aggregate, distinct, of, scaled = "", where] = found;
  const name = aggregate.toLowerCase();
  const last = (path: string): string => path.slice(path.lastIndexOf(".") + 1);
  const key = last(where);
  const by = scaled === "" ? "" : ` ${scaled.replaceAll(" ", "").replace(/^(.)/, "$1 ")}`;
  const window = (): string => {
    if (name === "count") {
      return distinct === undefined ? `count_last('30d', ${key})` : `distinct_last(${last(of)}, '30d', ${key})`;
    }
    return `${WINDOW[name]}(${last(of)}, '30d', ${key})`;
  };
  return `write ${window()}${by}: a window over the past of this ${key}, of the length you want`;
}

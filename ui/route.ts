// Where the page is: `#/alerts/42?severity=critical`, so that every view is a link; listeners hear of changes.
import { useEffect, useState } from "preact/hooks";

export interface Place {
  readonly page: string;
  /** What follows the page's name; "" where nothing does. */
  readonly id: string;
  readonly query: Readonly<Record<string, string>>;
}

const START = "overview";

export function placeNow(): Place {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [page = "", ...rest] = path.split("/");
  return {
    page: page === "" ? START : page,
    id: rest.map(decodedOrNot).join("/"),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

function decodedOrNot(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a view. What is undefined or "" is left out of the query. */
export function hrefOf(
  page: string,
  {
    id = "",
    query = {},
  }: { readonly id?: string | number; readonly query?: Readonly<Record<string, string | number | undefined>> } = {},
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const tail = search.toString();
  const own = String(id) === "" ? "" : `/${encodeURIComponent(String(id))}`;
  return `#/${page}${own}${tail === "" ? "" : `?${tail}`}`;
}

export function go(href: string): void {
  location.hash = href;
}

/** Changes some of the query and keeps the rest; no new entry in the history, so that Back leaves the page. */
export function setQuery(change: Readonly<Record<string, string | undefined>>): void {
  const { page, id, query } = placeNow();
  history.replaceState(null, "", hrefOf(page, { id, query: { ...query, ...change } }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function usePlace(): Place {
  const [place, setPlace] = useState(placeNow);
  useEffect(() => {
    const moved = (): void => setPlace(placeNow());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}

// Names of columns: whatever a table or a request calls a column, by its canonical name; upper and lower case are one.

/** The canonical name of a column, by any of its names; a name that nobody knows is its own. */
export type NameOf = (name: string) => string;

/** By the pipeline's canonical names and aliases, and `more` names that stand for themselves (those of a schema or of a feature spec). */
export function nameFolder(canonical: ReadonlyMap<string, string>, more: Iterable<string> = []): NameOf {
  const exact = new Map(canonical);
  for (const name of more) if (!exact.has(name)) exact.set(name, name);
  const folded = new Map<string, string>();
  const torn = new Set<string>();
  for (const [name, column] of exact) {
    const key = name.toLowerCase();
    const other = folded.get(key);
    if (other !== undefined && other !== column) torn.add(key);
    folded.set(key, column);
  }
  // Names that differ by case alone and mean two columns differ by their exact spelling only.
  for (const key of torn) folded.delete(key);
  return (name) => exact.get(name) ?? folded.get(name.toLowerCase()) ?? name;
}

// A lineage for people: the tags of a run or a version as labelled lines.

type Tags = Readonly<Record<string, string>>;

/** In the order in which one asks; a line whose facts are not known is left out, and so is such a part of a line. */
export function lineageRows(tags: Tags): readonly (readonly [label: string, text: string])[] {
  const say = (pattern: string): string => fill(pattern, tags);
  const rows: readonly (readonly [string, string])[] = [
    ["made by", say("{mlflow.user}[, {sentinel.verb}]")],
    ["data", say("{sentinel.data_path}[ ({sentinel.data_rows} rows)]")],
    ["data SHA-256", say("{sentinel.data_hash}")],
    [
      "grown from",
      say(
        "{sentinel.grown_from_path}, SHA-256 {sentinel.grown_from_hash}, by {sentinel.grown_by_rows} rows of the log",
      ),
    ],
    ["data in DVC", inDvc(tags)],
    ["imported", say("{sentinel.import_file} of {sentinel.import_library}, SHA-256 {sentinel.import_sha256}")],
    ["code", say("{mlflow.source.git.commit}[ on {mlflow.source.git.branch}]") + dirtyText(tags)],
    ["features", say("{sentinel.feature_hash}")],
    ["pipeline", say("{sentinel.pipeline_hash}")],
    ["seed", say("{sentinel.seed}")],
    ["parameters", parametersText(tags["sentinel.parameters"])],
    ["parent", say("version {sentinel.parent}, the champion then")],
    ["Sentinel", say("{sentinel.package_version}")],
    ["Node", say("{sentinel.node_version}")],
  ];
  return rows.filter(([, text]) => text !== "");
}

/** Tags in braces; a part in brackets, or the whole, is empty when one of its tags is. */
function fill(pattern: string, tags: Tags): string {
  const whole = pattern.replace(/\[([^\]]*)\]/g, (_, part: string) => fill(part, tags));
  let known = true;
  const text = whole.replace(/\{([\w.]+)\}/g, (_, key: string) => {
    known &&= (tags[key] ?? "") !== "";
    return tags[key] ?? "";
  });
  return known ? text : "";
}

function inDvc(tags: Tags): string {
  if (tags["dvc.md5"] === undefined) return tags["dvc.state"] ?? "";
  const commit = tags["dvc.rev"] === undefined ? "not committed" : `commit ${tags["dvc.rev"].slice(0, 12)}`;
  return fill(`{dvc.md5} ({dvc.file}[, stage {dvc.stage}], ${commit})`, tags);
}

function dirtyText(tags: Tags): string {
  return tags["mlflow.source.git.dirty"] === "true" ? ", with uncommitted changes" : "";
}

/** The JSON of the parameters as a line; a text that is none, as it stands. */
function parametersText(json = ""): string {
  try {
    const parameters = JSON.parse(json) as Readonly<Record<string, unknown>>;
    return Object.entries(parameters)
      .map(([key, value]) => `${key} ${String(value)}`)
      .join(", ");
  } catch {
    return json;
  }
}

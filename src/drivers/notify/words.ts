// An event in words, for receivers that people read: a title, some lines, and where to look.
import type { CloudEvent } from "../../core/cloud-event.ts";

export interface Words {
  readonly title: string;
  readonly lines: readonly string[];
  readonly link: string | null;
  readonly severity: "critical" | "warning" | "info";
}

const LINES_MAX = 30;
const LINE_LENGTH_MAX = 500;

/** Events carry their own words in `data.title` and `data.text`; an event of another kind has its type alone. */
export function wordsOf(event: CloudEvent): Words {
  const data = (event.data ?? {}) as Readonly<Record<string, unknown>>;
  const lines = Array.isArray(data.text) ? data.text : Array.isArray(data.reasons) ? data.reasons : [];
  const { severity } = data;
  return {
    title: plain(typeof data.title === "string" ? data.title : titleOf(event, data)),
    lines: lines.slice(0, LINES_MAX).map((line) => plain(String(line))),
    link: typeof data.link === "string" ? data.link : null,
    severity: severity === "critical" || severity === "info" ? severity : "warning",
  };
}

function titleOf({ type, subject }: CloudEvent, { pipeline, verdict }: Readonly<Record<string, unknown>>): string {
  const about = typeof pipeline === "string" ? `${pipeline}: ` : "";
  return typeof verdict === "string" ? `${about}${verdict} (${subject})` : `${about}${type} (${subject})`;
}

/** On one line, without what could look like another one or turn the reading direction. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").slice(0, LINE_LENGTH_MAX);
}

// Text in HTML: escaped, whoever wrote it.

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function escapeHtml(content: string): string {
  return content.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

// Turns terminal output with colours (stdin) into an SVG picture: node scripts/picture.mjs TITLE < output > picture.svg.
import { readFileSync } from "node:fs";

const CHAR_WIDTH = 8.05;
const LINE_HEIGHT = 19;
const MARGIN = 18;
const COLUMNS_MAX = 150;
const ESCAPE = String.fromCharCode(27);
const LOOK = new RegExp(`(${ESCAPE}\\[\\d*m)`);

/** SGR code → fill of the text; codes that are not here change nothing. */
const FILLS = { 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 36: "#79c0ff" };

const title = process.argv[2] ?? "sentinel";
const lines = readFileSync(0, "utf8").replace(/\r/g, "").trimEnd().split("\n").map(pieces);
const width = Math.ceil(Math.min(COLUMNS_MAX, Math.max(...lines.map(lengthOf))) * CHAR_WIDTH) + 2 * MARGIN;
const height = lines.length * LINE_HEIGHT + 3 * MARGIN;

const body = lines.map((line, i) => {
  const y = 2 * MARGIN + (i + 1) * LINE_HEIGHT - 4;
  return `<text x="${MARGIN}" y="${y}" xml:space="preserve">${line.map(span).join("")}</text>`;
});
process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
<rect width="${width}" height="${height}" rx="10" fill="#0d1117"/>
<circle cx="20" cy="17" r="5" fill="#ff5f56"/><circle cx="38" cy="17" r="5" fill="#ffbd2e"/><circle cx="56" cy="17" r="5" fill="#27c93f"/>
<text x="${width / 2}" y="21" text-anchor="middle" fill="#8b949e" font-family="system-ui,sans-serif" font-size="12">${escapeXml(title)}</text>
<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="13.4" fill="#e6edf3">
${body.join("\n")}
</g>
</svg>
`);

/** A line as runs of text of one look, cut at the widest column. */
function pieces(line) {
  const runs = [];
  let look = { fill: null, bold: false, dim: false };
  let room = COLUMNS_MAX;
  for (const part of line.split(LOOK)) {
    const code = part.startsWith(ESCAPE) ? part.slice(2, -1) : undefined;
    if (code === undefined) {
      const text = [...part].slice(0, room).join("");
      room -= [...text].length;
      if (text !== "") runs.push({ ...look, text });
    } else if (code === "" || code === "0") look = { fill: null, bold: false, dim: false };
    else if (code === "1") look = { ...look, bold: true };
    else if (code === "2") look = { ...look, dim: true };
    else if (code === "22") look = { ...look, bold: false, dim: false };
    else if (code === "39") look = { ...look, fill: null };
    else look = { ...look, fill: FILLS[code] ?? look.fill };
  }
  return runs;
}

function span({ fill, bold, dim, text }) {
  const style = [fill && `fill="${fill}"`, bold && 'font-weight="700"', dim && 'fill-opacity=".55"']
    .filter(Boolean)
    .join(" ");
  return style === "" ? escapeXml(text) : `<tspan ${style}>${escapeXml(text)}</tspan>`;
}

function lengthOf(line) {
  return line.reduce((sum, { text }) => sum + [...text].length, 0);
}

function escapeXml(text) {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

// Icons: strokes on a grid of 16, one per page and per action that needs none of its words.
const PATHS = {
  overview: "M2.5 9.5h3v4h-3zM6.5 5.5h3v8h-3zM10.5 2.5h3v11h-3z",
  alerts: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  cases: "M2.5 5h11v8.5h-11zM5.5 5V3h5v2M2.5 8.5h11",
  rules: "M3 4h10M3 8h6M3 12h4M11 10l1.5 1.5L15 9",
  pipelines: "M2 4h4v3H2zM10 9h4v3h-4zM6 5.5h2.5v5H10",
  models: "M8 2l5.5 3v6L8 14l-5.5-3V5zM2.5 5 8 8l5.5-3M8 8v6",
  drift: "M2 11c2-6 3-6 5-2s3 3 4-1 2-4 3-4",
  audit: "M4 2h6l3 3v9H4zM6.5 8h4M6.5 10.5h4",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5l1 1H3zM6.8 14h2.4",
  people:
    "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c.4-2.7 2.2-4 4.5-4s4.1 1.3 4.5 4M11 3.5a2.2 2.2 0 0 1 0 4M12 9.7c1.5.4 2.3 1.7 2.5 3.8",
  api: "M5.5 5 2.5 8l3 3M10.5 5l3 3-3 3",
  sun: "M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1",
  moon: "M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7z",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  help: "M6 6a2 2 0 1 1 2.6 1.9c-.5.2-.6.5-.6 1.1M8 11.5v.1M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13z",
  out: "M9.5 3h4v10h-4M2.5 8h7M6.5 5l3 3-3 3",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3 3",
  download: "M8 2.5v7.5M5 7.5l3 3 3-3M3 13.5h10",
  shield: "M8 1.5l5.5 2v4.2c0 3.5-2.2 5.9-5.5 7.1-3.3-1.2-5.5-3.6-5.5-7.1V3.5zM5.5 8l2 2 3.5-4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The app's pictograms: strokes on a 24 by 24 grid, in the colour of the text around them. */

const paths = {
  back: "M15 5l-7 7 7 7",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 17a4 4 0 1 0 0-8 4 4 0 0 0 0 8z",
  check: "M5 13l4.5 4.5L19 8",
  chip: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
  close: "M6 6l12 12M18 6L6 18",
  computer: "M3 5h18v11H3zM9 20h6M12 16v4",
  dice: "M12 2.5l8.2 4.7v9.6L12 21.5l-8.2-4.7V7.2zM3.8 7.2L12 12l8.2-4.8M12 12v9.5M12 7.2h.01M6.6 12.4h.01M9.2 16.6h.01M14.8 14.2h.01M17.4 12.7h.01M14.8 17.4h.01M17.4 15.9h.01",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.5h4M4 14.5h4M16 9.5h4M16 14.5h4",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8h.01",
  layers: "M12 3l9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5",
  phone: "M7 3h10v18H7zM11 18h2",
  reset: "M5 12a7 7 0 1 0 2.5-5.4M5 4v4h4",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
  send: "M4 12l16-7-6 16-3-7z",
  share: "M12 15V4M8 8l4-4 4 4M6 12v8h12v-8",
  spark: "M12 3l2.2 6.8L21 12l-6.8 2.2L12 21l-2.2-6.8L3 12l6.8-2.2z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
} as const;

export type IconName = keyof typeof paths;

/** A pictogram; the words beside it, or the label of its button, say what it means. */
export function Icon({ name, size = 24 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

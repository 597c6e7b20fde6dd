// Numbers as words: bytes, times, codes.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** 12345678 -> "12.3 MB". */
export function bytes(count) {
  let value = Math.max(0, count ?? 0);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return `${Math.round(value)} ${value === 1 ? "byte" : "bytes"}`;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Seconds as a person would say them: "8 s", "3 min", "1 h 20 min". */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/** How long ago a time in Unix seconds was. */
export function ago(time) {
  const seconds = Date.now() / 1000 - time;
  if (seconds < 45) return "just now";
  if (seconds < 3570) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  const days = Math.round(seconds / 86_400);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** "12345678" -> "1234 5678". */
export function grouped(digits, size) {
  return digits.replace(new RegExp(`(\\d{${size}})(?=\\d)`, "g"), "$1 ");
}

/** 1, "file" -> "1 file"; 2, "file" -> "2 files". */
export function counted(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

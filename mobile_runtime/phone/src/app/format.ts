/** Sizes, times and dates in the reader's language. */

import { language, t } from "./words";

/** `12 MB`, `1.3 GB`; decimal, as phones count their storage. */
export function bytes(count: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  let power = 0;
  let value = count;
  while (value >= 1000 && power < units.length - 1) {
    value /= 1000;
    power++;
  }
  return new Intl.NumberFormat(language.value, {
    style: "unit",
    unit: units[power] ?? "byte",
    unitDisplay: power === 0 ? "long" : "short",
    maximumFractionDigits: power >= 2 && value < 10 ? 1 : 0,
  }).format(value);
}

/** `42 s` or `3 min 05 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const unit = (value: number, name: "second" | "minute" | "hour") =>
    new Intl.NumberFormat(language.value, { style: "unit", unit: name, unitDisplay: "narrow" }).format(value);
  if (whole < 60) return unit(whole, "second");
  if (whole < 3600) return `${unit(Math.floor(whole / 60), "minute")} ${unit(whole % 60, "second")}`;
  return `${unit(Math.floor(whole / 3600), "hour")} ${unit(Math.floor((whole % 3600) / 60), "minute")}`;
}

/** What is left, in steps that a person reads without watching it jump. */
export function timeLeft(seconds: number): string {
  if (seconds < 5) return t("left_soon");
  const rounded = seconds < 60 ? Math.ceil(seconds / 5) * 5 : Math.ceil(seconds / 15) * 15;
  return t("left", { time: duration(rounded) });
}

/** A day and a time, short. */
export function moment(milliseconds: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(
    milliseconds,
  );
}

export function percent(fraction: number): string {
  return new Intl.NumberFormat(language.value, { style: "percent" }).format(fraction);
}

/** Words in the reader's language: six lists of the same keys. */

import { signal } from "@preact/signals";
import { de } from "./de";
import { en } from "./en";
import { es } from "./es";
import { fr } from "./fr";
import { ja } from "./ja";
import { zh } from "./zh";

export type Key = keyof typeof en;
export type Words = Readonly<Record<Key, string>>;
export const languages = { en, de, fr, es, zh, ja } satisfies Record<string, Words>;
export type Language = keyof typeof languages;

const KEPT = "pocketvideo.language";

/** The language now: the one that was chosen here, else the first of the phone's that we speak, else English. */
export const language = signal<Language>(pick([stored() ?? "", ...(globalThis.navigator?.languages ?? [])]));

/** Speak another language from now on. */
export function speak(chosen: Language): void {
  localStorage.setItem(KEPT, chosen);
  language.value = chosen;
}

/** The words of a key, with what goes into its {places}. */
export function t(key: Key, places: Readonly<Record<string, string | number>> = {}): string {
  return languages[language.value][key].replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    String(places[name] ?? ""),
  );
}

/** The first of these language tags that we speak. */
export function pick(tags: readonly string[]): Language {
  for (const tag of tags) {
    const base = tag.toLowerCase().split("-")[0] ?? "";
    if (Object.hasOwn(languages, base)) return base as Language;
  }
  return "en";
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { languages, pick } from "../../src/app/words";
import { en } from "../../src/app/words/en";

const SOURCE = new URL("../../src", import.meta.url).pathname;
const code = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.includes("words/"))
  .map((name) => readFileSync(join(SOURCE, name), "utf8"))
  .join("\n");
const places = (words: string) => [...words.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test.each(Object.entries(languages))("%s says everything, with the places that English has", (_, words) => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect(words[key].trim(), key).not.toBe("");
    expect(places(words[key]), key).toEqual(places(en[key]));
  }
});

test("every word is used", () => {
  // `t(`stage_${stage}`)` uses all words that begin so.
  const made = [...code.matchAll(/`([a-z]+_)\$\{/g)].map(([, start]) => start ?? "");
  const unused = Object.keys(en).filter(
    (key) =>
      !code.includes(`"${key}"`) && !made.some((start) => key.startsWith(start)) && key !== "language_name",
  );
  expect(unused).toEqual([]);
});

test("the phone's languages choose ours", () => {
  expect(pick(["pt-BR", "de-AT", "en"])).toBe("de");
  expect(pick(["zh-Hant-TW"])).toBe("zh");
  expect(pick(["xx", "constructor"])).toBe("en");
});

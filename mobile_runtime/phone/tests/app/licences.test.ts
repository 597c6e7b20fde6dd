import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import project from "../../package.json" with { type: "json" };
import { licences } from "../../tooling/licences.ts";

test("every package that the app contains is named with its licence, and no tool of development is", () => {
  const text = licences(fileURLToPath(new URL("../..", import.meta.url)));
  for (const [name, version] of Object.entries(project.dependencies)) {
    expect(text).toMatch(new RegExp(`^${name} ${version.replaceAll(".", "\\.")}: \\S+`, "m"));
  }
  for (const name of Object.keys(project.devDependencies))
    expect(text).not.toMatch(new RegExp(`^${name} `, "m"));
  expect(text).toContain("Mozilla Public License Version 2.0");
});

// Reads feature files: scenarios with their steps, tags and examples.
import { readFileSync } from "node:fs";

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

/** One feature file as data. */
export function parseFeature(file) {
  const lines = readFileSync(file, "utf8").split(/\r?\n/);
  const feature = { file, tags: [], name: "", background: [], scenarios: [] };
  let [tags, steps, examples] = [[], null, null];
  for (let i = 0; i < lines.length; i += 1) {
    const line = lines[i].trim();
    let match;
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("@")) {
      tags.push(...line.split(/\s+/));
    } else if ((match = line.match(/^Feature:\s*(.*)/))) {
      Object.assign(feature, { name: match[1], tags });
      tags = [];
    } else if (/^Background:/.test(line)) {
      [steps, examples] = [feature.background, null];
    } else if ((match = line.match(/^Scenario( Outline)?:\s*(.*)/))) {
      const scenario = { name: match[2], outline: Boolean(match[1]), tags, steps: [], examples: [] };
      feature.scenarios.push(scenario);
      [tags, steps, examples] = [[], scenario.steps, null];
    } else if (/^Examples:/.test(line)) {
      examples = [];
      feature.scenarios.at(-1).examples.push({ rows: examples, tags });
      tags = [];
    } else if (line.startsWith("|")) {
      if (examples) examples.push(cells(line));
      else (steps.at(-1).table ??= []).push(cells(line));
    } else if (line === '"""') {
      const text = [];
      while (lines[(i += 1)].trim() !== '"""') text.push(lines[i]);
      steps.at(-1).doc = text.join("\n");
    } else if ((match = line.match(/^(?:\*|Given|When|Then|And|But)\s+(.*)$/)) && steps) {
      steps.push({ text: match[1], line: i + 1 });
    }
  }
  return feature;
}

// Runs the Solid conformance cases (feature files, read in place) against a server and prints one line of JSON for each scenario.
//   SUBJECT=file.json node run.mjs FOLDER-OF-THE-CASES
import { readFileSync } from "node:fs";
import path from "node:path";
import vm from "node:vm";
import { Agent } from "./agents.mjs";
import { parseFeature } from "./feature.mjs";
import { resourcesOf } from "./resources.mjs";
import { CannotTell, Failure, Scenario, asText } from "./steps.mjs";

const cases = process.argv[2];
const subject = JSON.parse(readFileSync(process.env.SUBJECT, "utf8"));
/** Tags of scenarios that ask for what this server is not set up for. */
const NOT_APPLICABLE = ["@acp", "@http-redirect"];

const agents = { alice: new Agent(subject.alice, subject.issuer), bob: new Agent(subject.bob, subject.issuer) };
const { Resource, Container } = resourcesOf(agents.alice);
const world = {
  agents, Resource, Container,
  webIds: { alice: subject.alice.webId, bob: subject.bob.webId },
  origin: "https://tester",
  root: new Container(subject.alice.storage).createContainer(),
};

/** The scenarios that an outline stands for. */
function expand(feature, scenario) {
  if (!scenario.outline) return [{ ...scenario, variables: {} }];
  return scenario.examples.flatMap(({ rows, tags }) => {
    let [head, data] = [[], []];
    if (rows.length === 1 && rows[0][0].includes("karate.setup()")) {
      data = new Scenario(feature, world, {}, new Map()).evaluate(rows[0][0]).map((row) => ({ ...row }));
      head = Object.keys(data[0]).map((name) => [name, false]);
    } else {
      head = rows[0].map((cell) => [cell.replace(/!$/, ""), cell.endsWith("!")]);
      data = rows.slice(1).map((row) => Object.fromEntries(row.map((cell, i) => [head[i][0], cell])));
    }
    return data.map((row) => {
      const filled = (text) => text.replace(/<([\w-]+)>/g, (all, name) => (name in row ? asText(row[name]) : all));
      const typed = ([name, code]) => [name, code ? vm.runInNewContext(`(${row[name]})`) : row[name]];
      return {
        name: filled(scenario.name),
        tags: [...scenario.tags, ...tags],
        variables: Object.fromEntries(head.filter(([name]) => name).map(typed)),
        steps: scenario.steps.map((step) => ({ ...step, text: filled(step.text), doc: step.doc && filled(step.doc) })),
      };
    });
  });
}

/** Outcome and, unless it passed, why. */
function outcome(feature, scenario, once) {
  const tags = [...feature.tags, ...scenario.tags];
  if (tags.includes("@ignore")) return ["left out", "the suite ignores it"];
  const tag = tags.find((one) => NOT_APPLICABLE.includes(one));
  if (tag) return ["left out", `${tag} does not apply`];
  let at = null;
  try {
    const scene = new Scenario(feature, world, scenario.variables, once);
    for (const step of [...feature.background, ...scenario.steps]) {
      at = step;
      scene.step(step);
    }
    return ["passed", ""];
  } catch (error) {
    if (error instanceof CannotTell) return ["left out", "the scenario cannot tell"];
    return ["failed", `line ${at?.line}: ${error instanceof Failure ? "" : "error: "}${error.message}`];
  }
}

/** The feature files that the suite's two manifests name, each once and in order. */
function features() {
  const manifests = ["protocol/solid-protocol-test-manifest.ttl", "web-access-control/web-access-control-test-manifest.ttl"];
  const named = manifests.flatMap((name) =>
    [...readFileSync(path.join(cases, name), "utf8").matchAll(/specification-tests\/blob\/main\/([^>]+\.feature)/g)].map((match) => match[1]));
  return [...new Set(named)];
}

for (const file of features()) {
  const feature = parseFeature(path.join(cases, file));
  const once = new Map();
  const seen = new Map();
  for (const written of feature.scenarios.filter(({ tags }) => !tags.includes("@setup"))) {
    for (const scenario of expand(feature, written)) {
      const [result, reason] = outcome(feature, scenario, once);
      const times = (seen.get(scenario.name) ?? 0) + 1;
      seen.set(scenario.name, times);
      const name = `${file.replace(".feature", "")}: ${scenario.name}${times > 1 ? ` (${times})` : ""}`;
      console.log(JSON.stringify({ name, outcome: result, reason }));
    }
  }
}
process.exit(0);

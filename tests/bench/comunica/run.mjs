// Asks one query of Comunica over SPARQL endpoints, as often as told, and prints how long each time took until the last row.
import { QueryEngine } from '@comunica/query-sparql';

const { sources, query, rounds } = JSON.parse(process.env.TASK);
const engine = new QueryEngine();
const context = { sources: sources.map(value => ({ type: 'sparql', value })) };
const seconds = [];
let rows = 0;
for (let round = 0; round <= rounds; round++) {
  const began = process.hrtime.bigint();
  const bindings = await engine.queryBindings(query, context);
  rows = 0;
  for await (const _ of bindings) {
    rows += 1;
  }
  seconds.push(Number(process.hrtime.bigint() - began) / 1e9);
}
console.log(JSON.stringify({ rows, seconds }));
process.exit(0);

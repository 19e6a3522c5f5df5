// Reads a JSON list of custom resources and prints a line for each fault; `npm ci` beside it has fetched the schemas.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const modules = join(process.cwd(), "node_modules", "@kubernetes-models");
const KNOWN = {
  "keda.sh/v1alpha1": ["keda", "ComGithubKedacoreKedaV2ApisKedaV1alpha1"],
  "monitoring.coreos.com/v1": [
    "prometheus-operator",
    "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1",
  ],
};
// What stands in these is of any name, or of Kubernetes itself.
const FREE = new Set(["metadata", "labels", "annotations", "selector", "behavior"]);

// The schemas let unknown keys pass: every key must at least be some field's of the same group.
function fieldsOf(group, apiVersion) {
  const folder = join(modules, group, apiVersion);
  const types = readdirSync(folder).filter((name) => name.endsWith(".d.ts"));
  const text = types.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  return new Set(["metadata", ...[...text.matchAll(/"(\w+)"\??:/g)].map((found) => found[1])]);
}

function* strangers(value, fields, path) {
  if (value === null || typeof value !== "object") return;
  for (const [key, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && !fields.has(key)) yield `${path}/${key}: no such field`;
    if (!FREE.has(key)) yield* strangers(inner, fields, `${path}/${key}`);
  }
}

let faults = 0;
function fault(text) {
  faults += 1;
  console.log(text);
}
for (const one of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${one.kind}/${one.metadata?.name}`;
  const [group, opening] = KNOWN[one.apiVersion] ?? [];
  if (!group) {
    fault(`${name}: no schema of ${one.apiVersion}`);
    continue;
  }
  const { validate } = await import(join(modules, group, "_schemas", `${opening}${one.kind}.js`));
  if (!validate(one)) for (const at of validate.errors) fault(`${name}${at.instancePath}: ${at.keyword} ${JSON.stringify(at.params)}`);
  for (const text of strangers(one, fieldsOf(group, one.apiVersion), name)) fault(text);
}
process.exit(faults ? 1 : 0);

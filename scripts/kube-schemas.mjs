// Schemas for kubeconform out of Kubernetes' OpenAPI document and the YAML of custom resources. Arguments: the folder for them, swagger.json, folders of CRDs.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseAllDocuments } from "yaml";

const [out, swagger, ...crdFolders] = process.argv.slice(2);
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const DEFINITIONS = "_definitions.json";
let count = 0;

/** The file that kubeconform asks for: kind, first label of the group, version. */
const nameOf = ({ group, version, kind }) =>
  [kind, ...(group === "" ? [] : [group.split(".")[0]]), version].join("-").toLowerCase();

function write(gvk, schema) {
  writeFileSync(path.join(out, `${nameOf(gvk)}.json`), JSON.stringify(schema));
  count++;
}

/** Every object refuses what it does not name, but where it is a map or keeps what it does not know. */
function strict(schema) {
  if (Array.isArray(schema)) return schema.map(strict);
  if (schema === null || typeof schema !== "object") return schema;
  const made = {};
  for (const [key, value] of Object.entries(schema)) {
    // A property may have the name of a word of the schema: only below `properties` are names names.
    if (key === "properties") {
      made[key] = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, strict(one)]));
    } else if (key === "$ref" && typeof value === "string")
      made[key] = value.replace("#/definitions/", `${DEFINITIONS}#/definitions/`);
    else made[key] = key === "enum" || key === "default" || key === "required" ? value : strict(value);
  }
  if (schema["x-kubernetes-int-or-string"]) return { type: ["integer", "string"] };
  if (made.properties && !("additionalProperties" in made) && !schema["x-kubernetes-preserve-unknown-fields"]) {
    made.additionalProperties = false;
  }
  return made;
}

const withKind = (schema, { group, version, kind }) => ({
  ...schema,
  properties: {
    ...schema.properties,
    apiVersion: { type: "string", enum: [group === "" ? version : `${group}/${version}`] },
    kind: { type: "string", enum: [kind] },
    ...(schema.properties?.metadata ? { metadata: schema.properties.metadata } : {}),
  },
  required: [...new Set([...(schema.required ?? []), "apiVersion", "kind"])],
});

const { definitions } = JSON.parse(readFileSync(swagger, "utf8"));
const made = Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, strict(schema)]));
made[QUANTITY] = { type: ["string", "number"] };
made[INT_OR_STRING] = { type: ["string", "integer"] };
writeFileSync(path.join(out, DEFINITIONS), JSON.stringify({ definitions: made }));
for (const [name, schema] of Object.entries(definitions)) {
  for (const gvk of schema["x-kubernetes-group-version-kind"] ?? []) {
    // Kinds of every group, such as DeleteOptions, are not what a chart makes.
    if (schema.properties?.kind && (schema["x-kubernetes-group-version-kind"] ?? []).length === 1) {
      write(gvk, withKind(made[name], gvk));
    }
  }
}
for (const folder of crdFolders) {
  for (const file of readdirSync(folder).filter((one) => /\.ya?ml$/.test(one))) {
    for (const document of parseAllDocuments(readFileSync(path.join(folder, file), "utf8"))) {
      const crd = document.toJS({ maxAliasCount: -1 });
      if (crd?.kind !== "CustomResourceDefinition") continue;
      const { group, names, versions } = crd.spec;
      for (const { name: version, schema } of versions) {
        const own = schema?.openAPIV3Schema;
        if (!own) continue;
        const gvk = { group, version, kind: names.kind };
        const whole = withKind(strict(own), gvk);
        // The API server checks metadata itself; a resource says only that it has some.
        whole.properties.metadata = {
          $ref: `${DEFINITIONS}#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`,
        };
        write(gvk, whole);
      }
    }
  }
}
console.log(`kube-schemas: ${count} schemas in ${out}`);

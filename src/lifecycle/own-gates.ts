// What a version's own gates said when it was made, for whoever asks whether it may be promoted: the word, and why, in sentences.
import { sha256 } from "../core/hash.ts";
import type { Check } from "../core/verdict.ts";
import type { Registry } from "../ports/registry.ts";

/** What each gate asked, to be said where its verdict is all that is kept. */
const QUESTIONS = {
  training: "whether it is good enough on days that it has not learned",
  refit: "whether the model that serves judges as the one that was judged",
  logic:
    "whether it answers as its training saw it: every row the same score again, in time, from what a request carries",
} as const;

type OwnGate = keyof typeof QUESTIONS;

/** The logic gate has no override. */
export const LOGIC_GATE = "logic gate";

/**
 * The version's gates as checks. A failed gate has the reasons that stand in the document its training left in the journal, as far as that is
 * there and is the one that the version names. Errors: those of the registry.
 */
export async function ownGates(
  registry: Registry,
  { model, version }: { readonly model: string; readonly version: string },
): Promise<Check[]> {
  const { tags } = await registry.version(model, version);
  // Only a version that serves a refitted model was asked the third.
  const asked: readonly OwnGate[] = [
    "training",
    ...("sentinel.gate.refit" in tags ? (["refit"] as const) : []),
    "logic",
  ];
  const words = asked.map((gate) => tags[`sentinel.gate.${gate}`] ?? "not judged");
  const hash = tags["sentinel.evidence"];
  const isAskedWhy = hash !== undefined && words.some((word) => word !== "pass");
  const document = isAskedWhy ? await registry.evidence(model, hash) : null;
  const reasons = document !== null && sha256(document) === hash ? reasonsOf(document) : new Map<string, string[]>();
  return asked.map((gate, i) => {
    const check = { name: `${gate} gate`, passed: words[i] === "pass", observed: words[i], required: "pass" };
    return check.passed
      ? check
      : { ...check, reason: reasonOf(gate, { word: words[i], known: reasons.get(gate) ?? [] }) };
  });
}

function reasonOf(
  gate: OwnGate,
  { word, known }: { readonly word: string; readonly known: readonly string[] },
): string {
  const final = gate === "logic" ? ", and nothing overrides that" : "";
  if (word !== "fail") {
    return `${gate} gate: nobody asked this version ${QUESTIONS[gate]}${final}: it carries no verdict; make it by \`sentinel train\` or \`sentinel import\``;
  }
  if (known.length > 0) return `${gate} gate: the version failed it when it was made${final}: ${known.join("; ")}`;
  return `${gate} gate: the version failed it when it was made${final}: it was asked ${QUESTIONS[gate]}; which check said no is not kept beside it, so train again and read the report`;
}

/** Gate to reasons, of a training's document; empty where it is none. */
function reasonsOf(document: string): ReadonlyMap<string, string[]> {
  const reasons = new Map<string, string[]>();
  for (const one of listOf(fieldOf(parsed(document), "verdicts"))) {
    const gate = fieldOf(one, "gate");
    const texts = listOf(fieldOf(one, "reasons")).filter((text) => typeof text === "string");
    if (typeof gate === "string") reasons.set(gate, texts);
  }
  return reasons;
}

function parsed(document: string): unknown {
  try {
    return JSON.parse(document);
  } catch {
    return null;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return value !== null && typeof value === "object" ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

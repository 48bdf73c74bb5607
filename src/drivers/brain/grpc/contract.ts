// The part of the gRPC contract that a gateway speaks: Score, its answer as the JSON that HTTP gives, and a refusal's problem.
import { loadSync, type MessageTypeDefinition, type MethodDefinition } from "@grpc/proto-loader";

/** A message as plain data; absent fields are absent, lists always there. */
type Message = Readonly<Record<string, unknown>>;

export interface ScoreContract {
  readonly path: string;
  encode(request: { readonly pipeline: string; readonly json: Uint8Array }): Buffer;
  /** The answer as POST /predict gives it. Throws for bytes that are none. */
  decode(bytes: Buffer): Message;
  /** The problem in `grpc-status-details-bin`, as HTTP's problem document has it; null where there is none. */
  problemIn(details: Buffer): { readonly status: number; readonly text: string } | null;
}

const PROBLEM = "sentinel.v1.Problem";

/** Reads the contract from the package's folder `proto/`. */
export function loadScore(folder: string): ScoreContract {
  const loaded = loadSync(["sentinel/v1/sentinel.proto", "google/rpc/status.proto"], {
    keepCase: true,
    longs: Number,
    arrays: true,
    includeDirs: [folder],
  });
  const { Score } = loaded["sentinel.v1.Sentinel"] as Readonly<Record<string, MethodDefinition<object, object>>>;
  const reader = (name: string): ((bytes: Buffer) => Message) => {
    const { deserialize } = loaded[name] as MessageTypeDefinition<object, object>;
    return (bytes) => deserialize(bytes) as Message;
  };
  const [statusIn, problemIn] = [reader("google.rpc.Status"), reader(PROBLEM)];
  return {
    path: Score.path,
    encode: (request) => Score.requestSerialize(request),
    decode: (bytes) => answerOf(Score.responseDeserialize(bytes) as Message),
    problemIn(details) {
      const { details: all } = statusIn(details) as {
        readonly details: readonly { readonly type_url?: string; readonly value?: Buffer }[];
      };
      const value = all.find(({ type_url }) => type_url?.endsWith(`/${PROBLEM}`) === true)?.value;
      if (value === undefined) return null;
      const { errors, ...problem } = problemIn(value) as {
        readonly errors: readonly object[];
        readonly status?: number;
      };
      const document = errors.length > 0 ? { ...problem, errors } : problem;
      return { status: problem.status ?? 0, text: JSON.stringify(document) };
    },
  };
}

/** The members of HTTP's answer: null where JSON says null, left out where JSON leaves out. */
function answerOf(message: Message): Message {
  const { transaction_id, score = null, anomaly_score = null, decision, model = null } = message;
  const { degraded, decided_by, rules, explored, thresholds } = message;
  return {
    transaction_id,
    score,
    anomaly_score,
    decision,
    model,
    ...(degraded === true ? { degraded } : {}),
    ...(decided_by === undefined || decided_by === "" ? {} : { decided_by }),
    ...(rules === undefined ? {} : { rules: rulesOf(rules as Message) }),
    ...(explored === undefined ? {} : { explored: exploredOf(explored as Message) }),
    ...(thresholds === undefined ? {} : { thresholds: thresholdsOf(thresholds as Message) }),
  };
}

function rulesOf({ set, rule = null, fired, shadow, unready = 0 }: Message): object {
  return { set, rule, fired, shadow, ...(unready === 0 ? {} : { unready }) };
}

function thresholdsOf({ review = 0, block = 0, segment, policy }: Message): object {
  return { review, block, ...(segment === undefined ? {} : { segment }), policy };
}

function exploredOf({ model_decision, let_through = false, propensity = 0, why }: Message): object {
  return { model_decision, let_through, propensity, why };
}

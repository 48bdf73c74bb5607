// The gRPC door: Sentinel's own service, the Open Inference Protocol, health and reflection on one port, over the engines of the process.
import { Server, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { Admission, type Terms } from "./admission.ts";
import { Aside } from "./aside.ts";
import { type Door, type UnaryMethod, unary } from "./calls.ts";
import { loadContract } from "./contract.ts";
import { descriptorFiles } from "./descriptors.ts";
import { explainMethod } from "./explain.ts";
import { Health, WATCH_TERMS } from "./health.ts";
import { labelMethod } from "./label.ts";
import { type GrpcAddress, listenGrpc } from "./listen.ts";
import { oipMethods } from "./oip.ts";
import type { GrpcParts } from "./parts.ts";
import { REFLECTION_TERMS, reflection } from "./reflection.ts";
import { scoreMethod } from "./score.ts";
import { Statuses } from "./status.ts";
import { STREAM_TERMS, scoreStream } from "./stream.ts";

export interface GrpcDoor {
  readonly host: string;
  readonly port: number;
  /**
   * Health says NOT_SERVING at once. Goes on taking connections and calls for `announceMs`; then takes no more, lets calls in
   * flight end, and resolves when all connections are gone, or `msMax` later.
   */
  close(times: { readonly announceMs: number; readonly msMax: number }): Promise<void>;
}

export interface GrpcOptions extends GrpcAddress {
  /** The package's folder `proto/`. */
  readonly protoFolder: string;
}

const SENTINEL = "sentinel.v1.Sentinel";
const INFERENCE = "inference.GRPCInferenceService";
const HEALTH = "grpc.health.v1.Health";
const REFLECTIONS = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/** Calls at once on one connection; a client opens another one beyond. */
const STREAMS_PER_CONNECTION_MAX = 1000;
/** A connection that carried no call for so long gets a GOAWAY; clients come back by themselves. */
const IDLE_MS_MAX = 600_000;
/** How often a connection is asked whether its other end is still there, and how long that may take. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_MS_MAX = 20_000;
/** Read of a message that is longer than its pipeline takes, so that the refusal can name the limit. */
const MESSAGE_BYTES_BEYOND = 65_536;
/** Where no pipeline is up that says it: `serve.body_max_bytes` where nobody sets it. */
const MESSAGE_BYTES_USUAL = 1_048_576;

/** Opens the door. Port 0 takes a free one. Errors: server.port-in-use, config.invalid (the certificate). */
export async function openGrpc(parts: GrpcParts, options: GrpcOptions): Promise<GrpcDoor> {
  const contract = loadContract(options.protoFolder);
  const statuses = new Statuses(contract);
  const terms = new Map<string, Terms>();
  const admission = new Admission(parts, statuses, terms);
  const door: Door = { parts, admission, statuses };
  const aside = new Aside();
  const health = new Health(door, { aside, services: [SENTINEL, INFERENCE] });
  const server = new Server({ ...LIMITS, ...lengths(parts), interceptors: [admission.interceptor] });
  /** A service, its methods with one answer, and its others with what is asked of their calls. */
  const add = (
    name: string,
    methods: Readonly<Record<string, UnaryMethod>>,
    streams: Readonly<Record<string, { readonly terms: Terms; readonly handle: (call: never) => void }>> = {},
  ): void => {
    const service = contract.service(name);
    const implementation: UntypedServiceImplementation = {};
    for (const [method, one] of Object.entries(methods)) {
      terms.set(service[method].path, one.terms);
      implementation[method] = unary(door, one, contract.requestOf(name, method));
    }
    for (const [method, { terms: own, handle }] of Object.entries(streams)) {
      terms.set(service[method].path, own);
      implementation[method] = handle as UntypedServiceImplementation[string];
    }
    server.addService(service, implementation);
  };
  add(
    SENTINEL,
    { Score: scoreMethod(door), Explain: explainMethod(door), Label: labelMethod(door) },
    {
      ScoreStream: {
        terms: STREAM_TERMS,
        handle: scoreStream(door, contract.requestOf(SENTINEL, "ScoreStream")),
      },
    },
  );
  add(INFERENCE, oipMethods(door));
  add(
    HEALTH,
    { Check: health.check, List: health.list },
    { Watch: { terms: WATCH_TERMS, handle: health.watch(contract.requestOf(HEALTH, "Watch")) } },
  );
  const files = descriptorFiles(contract.descriptors);
  for (const name of REFLECTIONS) {
    const type = contract.requestOf(name, "ServerReflectionInfo");
    const services = [SENTINEL, INFERENCE, HEALTH, ...REFLECTIONS];
    const handle = reflection(door, { aside, files, services, type });
    add(name, {}, { ServerReflectionInfo: { terms: REFLECTION_TERMS, handle } });
  }
  const listening = await listenGrpc(server, options);
  const { host, port } = listening;
  parts.logger.info({ host, port }, "listening for gRPC");
  return {
    host,
    port,
    async close({ announceMs, msMax }) {
      health.look();
      await new Promise((resolve) => setTimeout(resolve, announceMs));
      health.stop();
      aside.stop();
      await listening.close(msMax);
    },
  };
}

const LIMITS = {
  "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION_MAX,
  "grpc.max_connection_idle_ms": IDLE_MS_MAX,
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_MS_MAX,
  "grpc.enable_channelz": 0,
} as const;

/** The longest message that any pipeline takes; each then looks at its own limit. Answers are our own. */
function lengths({ everyRoom }: GrpcParts) {
  const slots = everyRoom().flatMap(({ pipelines }) => pipelines.all());
  const longest = slots.map(({ engine }) => engine?.pipeline.serve.bodyMaxBytes ?? MESSAGE_BYTES_USUAL);
  return {
    "grpc.max_receive_message_length": Math.max(MESSAGE_BYTES_USUAL, ...longest) + MESSAGE_BYTES_BEYOND,
    "grpc.max_send_message_length": -1,
  };
}

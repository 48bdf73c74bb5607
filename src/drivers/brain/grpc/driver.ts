// Brains by gRPC: `sentinel serve --grpc-port`, all calls to one brain over one connection.
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { Brain, BrainReply } from "../../../ports/brain.ts";
import type { BrainPlace, BrainTls, MakeBrain } from "../named.ts";
import { REPLY_BYTES_MAX, replyOf } from "../reply.ts";
import { loadScore, type ScoreContract } from "./contract.ts";

export interface GrpcBrainOptions {
  /** Service key of the brains; null: none. */
  readonly key: string | null;
  readonly tls?: BrainTls | null;
  /** The package's folder `proto/`. */
  readonly protoFolder: string;
}

const DETAILS = "grpc-status-details-bin";
const PIPELINE = /^\/pipelines\/([^/]+)\/?$/;

/**
 * A brain whose packets are dropped, not refused, is found by a ping, so that calls do not queue on a dead connection for the minutes that TCP takes
 * to give up; and one that is back is connected to within seconds, whatever it was away for.
 */
const CHANNEL: ChannelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.min_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5000,
  "grpc.max_receive_message_length": REPLY_BYTES_MAX,
  // Whoever asks decides what is sent twice: see the pool.
  "grpc.enable_retries": 0,
  "grpc.enable_channelz": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.use_local_subchannel_pool": 1,
  // What a proxy of the environment is for, it is not for brains.
  "grpc.enable_http_proxy": 0,
};

/**
 * After so many calls in a row that were given up without a word the connection is made anew, as HTTP's is after each: one that was cut off in the middle of its
 * beginning would otherwise be waited for until a ping finds it, again and again.
 */
const SILENT_MAX = 3;

/** Makes brains of places such as grpc://HOST:PORT, or grpc://HOST:PORT/pipelines/NAME for one pipeline; `grpcs:` with TLS. */
export function grpcBrain(options: GrpcBrainOptions): MakeBrain {
  const contract = loadScore(options.protoFolder);
  return (place) => new GrpcBrain(place, { ...options, contract });
}

class GrpcBrain implements Brain {
  readonly where: string;
  private client: Client;
  private readonly connect: () => Client;
  /** Calls that were given up since the last one that ended by itself. */
  private silent = 0;
  private readonly contract: ScoreContract;
  private readonly pipeline: string;
  private readonly key: string | null;

  constructor(place: BrainPlace, given: GrpcBrainOptions & { readonly contract: ScoreContract }) {
    const { url, address, port } = place;
    this.where = place.where;
    this.contract = given.contract;
    this.key = given.key;
    this.pipeline = decodeURIComponent(PIPELINE.exec(url.pathname)?.[1] ?? "");
    const target = `${address.includes(":") ? `ipv6:[${address}]` : `ipv4:${address}`}:${port}`;
    const named = { "grpc.ssl_target_name_override": url.hostname, "grpc.default_authority": url.host };
    const secure = credentialsOf(url, given.tls ?? null);
    this.connect = () => new Client(target, secure, { ...CHANNEL, ...named });
    this.client = this.connect();
  }

  score(
    body: string,
    { requestId, signal }: { readonly requestId: string; readonly signal: AbortSignal },
  ): Promise<BrainReply> {
    const { client, contract, pipeline, key, where } = this;
    if (signal.aborted) return Promise.reject(new Error(`${where} was not asked: nobody waits`));
    const metadata = new Metadata();
    metadata.set("x-request-id", requestId);
    if (key !== null) metadata.set("authorization", `Bearer ${key}`);
    return new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        contract.path,
        contract.encode,
        contract.decode,
        { pipeline, json: Buffer.from(body) },
        metadata,
        (error: ServiceError | null, answer?: Readonly<Record<string, unknown>>) => {
          signal.removeEventListener("abort", stop);
          if (!signal.aborted) this.silent = 0;
          try {
            resolve(error === null ? { kind: "answer", answer: answer! } : this.refusalOf(error));
          } catch (fault) {
            reject(fault);
          }
        },
      );
      const stop = (): void => {
        call.cancel();
        if (++this.silent >= SILENT_MAX && this.client === client) this.renew();
        // The answer of a call that was cancelled says no more than that.
        reject(signal.reason instanceof Error ? signal.reason : new Error(`${where} was given up`));
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  close(): void {
    this.client.close();
  }

  private renew(): void {
    this.silent = 0;
    this.client.close();
    this.client = this.connect();
  }

  /** Throws where the error says nothing of the transaction. */
  private refusalOf(error: ServiceError): BrainReply {
    const [details] = error.metadata?.get(DETAILS) ?? [];
    const problem = details instanceof Buffer ? this.contract.problemIn(details) : null;
    if (problem !== null) return replyOf(this.where, problem);
    throw new Error(`${this.where} did not answer: ${status[error.code] ?? error.code}: ${error.details}`);
  }
}

function credentialsOf(url: URL, tls: BrainTls | null): ChannelCredentials {
  if (url.protocol !== "grpcs:") return credentials.createInsecure();
  const { ca = null, cert = null, key = null } = tls ?? {};
  const bytes = (pem: string | null): Buffer | null => (pem === null ? null : Buffer.from(pem));
  return credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
}

// Streams of one tenant in a cluster of all: topics, groups, writers and schemas get names that no other tenant's pipeline can name.
import { SentinelError } from "../../core/errors.ts";
import { nameInCluster, TENANT_TOPICS, type Tenant } from "../../core/tenant.ts";
import type { Schemas } from "../../ports/schemas.ts";
import type { StreamSource, Streams, StreamWriter } from "../../ports/stream.ts";

/** What Kafka takes. */
const TOPIC_LENGTH_MAX = 249;

/** Errors: config.invalid, for a name that is another tenant's, or too long with this one's before it. */
function namesOf(tenant: Tenant): (name: string) => string {
  return (name) => {
    if (name.startsWith(TENANT_TOPICS)) {
      throw new SentinelError(
        "config.invalid",
        `${name}: what begins with ${TENANT_TOPICS} is a tenant's, by any other way`,
        {
          hint: "name another topic or group in the pipeline's stream; a tenant's own are named without that",
        },
      );
    }
    const full = nameInCluster(tenant, name);
    if (full.length <= TOPIC_LENGTH_MAX) return full;
    throw new SentinelError(
      "config.invalid",
      `${full} has more than the ${TOPIC_LENGTH_MAX} characters that Kafka takes`,
      {
        hint: "give the topics shorter names in the pipeline's stream",
      },
    );
  };
}

/** The same streams, in which this tenant's names are its own alone; {@link Streams.kept} tells names as the cluster has them. */
export function tenantStreams(streams: Streams, tenant: Tenant): Streams {
  const named = namesOf(tenant);
  const byOwn = async <T>(
    names: readonly string[],
    ask: (all: readonly string[]) => Promise<ReadonlyMap<string, T>>,
  ): Promise<ReadonlyMap<string, T>> => {
    const own = new Map(names.map((name) => [named(name), name]));
    return new Map([...(await ask([...own.keys()]))].map(([name, value]) => [own.get(name) ?? name, value]));
  };
  return {
    where: streams.where,
    replayable: streams.replayable,
    binary: streams.binary,
    makesTopics: streams.makesTopics,
    topics: (names) => byOwn(names, (all) => streams.topics(all)),
    kept: async (names) => streams.kept(names.map(named)),
    create: async (topic, partitions) => streams.create(named(topic), partitions),
    keeps: (names) => byOwn(names, (all) => streams.keeps(all)),
    async subscribe(options) {
      const { topic, group } = options;
      return called(await streams.subscribe({ ...options, topic: named(topic), group: named(group) }), topic);
    },
    async writer({ id, group, topic }) {
      const own = { id: id === null ? null : named(id), group: named(group), topic: named(topic) };
      return writing(await streams.writer(own), named);
    },
    close: () => streams.close(),
  };
}

/** The same source under the name by which it was asked for. */
function called(source: StreamSource, topic: string): StreamSource {
  return {
    topic,
    assignment: () => source.assignment(),
    committed: () => source.committed(),
    spans: () => source.spans(),
    start: (partition, position) => source.start(partition, position),
    take: (partition) => source.take(partition),
    readTo: (partition) => source.readTo(partition),
    arrived: (waitMs) => source.arrived(waitMs),
    close: () => source.close(),
  };
}

function writing(writer: StreamWriter, named: (name: string) => string): StreamWriter {
  return {
    takeOver: async (outputs) => writer.takeOver(outputs.map(named)),
    commit: async ({ outputs, positions }) =>
      writer.commit({ outputs: new Map([...outputs].map(([topic, records]) => [named(topic), records])), positions }),
    close: () => writer.close(),
  };
}

/** The same registry, in which subjects of this tenant's topics are named as the cluster names these. */
export function tenantSchemas(schemas: Schemas, tenant: Tenant): Schemas {
  const named = namesOf(tenant);
  return {
    where: schemas.where,
    decode: (bytes) => schemas.decode(bytes),
    encoder: async (subject, schema) => schemas.encoder(named(subject), schema),
    versions: async (subject) => schemas.versions(named(subject)),
    check: async (subject, schema) => schemas.check(named(subject), schema),
    fields: (schema) => schemas.fields(schema),
  };
}

// What a server holds of one tenant: the pipelines of its workspace and of the store, and what its people work on.
import { type Config, tenantConfig } from "../../config.ts";
import type { Tenant } from "../../core/tenant.ts";
import type { Notices } from "../../lifecycle/desk.ts";
import { storeKept } from "../../lifecycle/retention.ts";
import { fileSource, type Makers, madeSource, servedNames } from "../../lifecycle/serve.ts";
import type { EngineLog } from "../../online/counters.ts";
import type { PipelineSource } from "../../online/pipelines.ts";
import { everyName, loadPipeline, madeNames, type Pipeline, pipelineNames } from "../../pipeline/pipeline.ts";
import type { Reporter } from "../../ports/ports.ts";
import type { RoomInput, SeveralInput } from "../../server/server.ts";
import { openNotices, openWorkspacePorts } from "../../wiring.ts";
import { startArchiver } from "../archiver.ts";
import { reporterIn } from "./report.ts";
import { tasksIn } from "./tasks.ts";

type WorkspacePorts = ReturnType<typeof openWorkspacePorts>;

/** What a server holds of one tenant: its pipelines, and what its people work on. */
export async function partOf(
  config: Config,
  of: {
    readonly ports: WorkspacePorts;
    readonly logger: EngineLog;
    readonly named: readonly string[];
    readonly main: string | null;
    readonly notices: Notices | null;
  },
): Promise<Pick<SeveralInput, "sources" | "main" | "discover" | "platform">> {
  const { workspace, root, tenant, keep } = config;
  const { ports, logger, named, main, notices } = of;
  const { common, portsOf } = ports;
  const makersOf = (name: string): Makers => ({
    portsOf: (pipeline) => portsOf({ pipeline: name, settings: () => pipeline }),
    archiverOf: () => startArchiver({ workspace: root, tenant, pipeline: name }, logger),
  });
  const sourceOf = (name: string): PipelineSource =>
    pipelineNames(workspace).includes(name) || !madeNames(workspace).includes(name)
      ? fileSource(workspace, name, makersOf(name))
      : madeSource(workspace, name, makersOf(name));
  return {
    sources: servedNames(workspace, { named, main }).names.map(sourceOf),
    main,
    // Pipelines that are named are all that is wanted.
    ...(named.length > 0 ? {} : { discover: () => pipelineNames(workspace).map(sourceOf) }),
    platform: {
      store: common.store!,
      workspace,
      notices,
      sourceOf: (name) => madeSource(workspace, name, makersOf(name)),
      // Pipelines come and go, and their files change, while the server runs.
      keep: () => storeKept(keep, keptBy(workspace)),
      tasks: tasksIn(config),
      keyring: common,
      ...(named.length > 0 ? { only: new Set(named) } : {}),
    },
  };
}

/** What a server holds of another tenant than the first. */
export async function roomOf(
  first: Config,
  tenant: Tenant,
  of: { readonly report: Reporter; readonly stores: WorkspacePorts["stores"]; readonly logger: EngineLog },
): Promise<RoomInput> {
  const { logger } = of;
  const config = tenantConfig(first, tenant);
  const ports = openWorkspacePorts(config, of);
  try {
    const { main } = servedNames(config.workspace, { named: [], main: null });
    const notices = await openNotices(config);
    return {
      ...(await partOf(config, { ports, logger, named: [], main, notices })),
      keys: await ports.common.keys!(),
      reporter: reporterIn(config),
      close: ports.close,
    };
  } catch (error) {
    await ports.close();
    throw error;
  }
}

/** All that have rows in the store, as far as they can be read: of one that cannot nobody knows how long it keeps what. */
function keptBy(workspace: string): readonly Pick<Pipeline, "retention">[] {
  return everyName(workspace).map((name) => {
    try {
      return loadPipeline(workspace, name);
    } catch {
      return { retention: {} };
    }
  });
}

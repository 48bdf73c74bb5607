// `sentinel restore`: a backup into a workspace that has lost its models/; what it has, and from when on all is lost.
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { restore } from "../lifecycle/backup.ts";
import { backedUp } from "./backup.ts";
import { textOption } from "./options.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [["--from <folder>", "what `sentinel backup` wrote"]],
  async run(context, { options }) {
    const from = textOption(options, "from");
    if (from === undefined) {
      throw new SentinelError("cli.usage", "restore needs --from FOLDER", {
        hint: "sentinel restore --from backups/2026-11-30",
      });
    }
    const { config, output } = context;
    const { at, files, elsewhere } = await restore({ ...backedUp(config), folder: path.resolve(from) });
    const log = await context.ports().log();
    const { predictions, labels } = await log.counts();
    const span = await log.span();
    const newest = span === null ? null : new Date(span.to).toISOString();
    output.line(`${files.length} files → ${config.registryDir}, as of ${at}`);
    output.line(
      `pipeline ${context.pipelineName()}: ${predictions} predictions${newest === null ? "" : `, the newest of ${newest}`}, ${labels} labels`,
    );
    output.warn(
      `what was answered, labelled, registered or changed after ${newest ?? at} is lost, unless a ledger or an archive has it`,
    );
    for (const one of elsewhere) output.warn(`not in it: ${one}`);
    output.line("now ask: sentinel registry verify; sentinel replay");
    return { yes: true, json: { from, at, files: files.length, predictions, labels, newest, elsewhere } };
  },
};

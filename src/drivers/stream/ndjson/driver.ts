// Streams in files: a topic is a file TOPIC.ndjson or a folder TOPIC/ of them; the embedded default, with nothing to install.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import type { Streams } from "../../../ports/stream.ts";
import { makeFolder, writeDurably } from "../../files/durable.ts";
import { fileError } from "./errors.ts";
import { openFiles, openPipe } from "./source.ts";
import { FilesWriter, topicFile } from "./writer.ts";

export interface NdjsonOptions {
  /** Topics lie here, and positions. */
  readonly folder: string;
  /** Read instead of the topic's own file or folder: a path, or a pipe such as standard input. */
  readonly input?: string | Readable;
}

export function createNdjsonStreams({ folder, input }: NdjsonOptions): Streams {
  const isPipe = input !== undefined && typeof input !== "string";
  const pathOf = async (topic: string): Promise<string> => {
    if (typeof input === "string") return input;
    const own = path.join(folder, topic);
    return (await isFolder(own)) ? own : topicFile(folder, topic);
  };
  return {
    where: folder,
    replayable: !isPipe,
    binary: false,
    makesTopics: true,
    async topics(names) {
      const found = new Map<string, number>();
      for (const name of names) {
        const parts = await partsOf(folder, name);
        if (parts > 0) found.set(name, parts);
      }
      return found;
    },
    kept: async () => [],
    async create(topic) {
      const file = topicFile(folder, topic);
      try {
        await makeFolder(folder);
        await writeDurably(file, "");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw fileError(error, `make ${file}`);
      }
    },
    keeps: async () => new Map(),
    async subscribe(options) {
      if (isPipe) return openPipe({ ...options, pipe: input });
      await makeFolder(folder).catch((error) => {
        throw fileError(error, `make ${folder}`);
      });
      return openFiles({ ...options, input: await pathOf(options.topic), folder });
    },
    writer: async (options) => new FilesWriter({ folder, ...options }),
    async close() {},
  };
}

/** The files that a topic consists of; 0: it is not there. */
async function partsOf(folder: string, topic: string): Promise<number> {
  const own = path.join(folder, topic);
  if (await isFolder(own)) return (await readdir(own)).filter((name) => name.endsWith(".ndjson")).length || 1;
  return (await stat(topicFile(folder, topic)).catch(() => null)) === null ? 0 : 1;
}

async function isFolder(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null))?.isDirectory() ?? false;
}

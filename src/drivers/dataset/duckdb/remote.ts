// Tables in a bucket: their objects become files of this machine, each fetched once, and are read like any others.
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { bucketPlace } from "../../../core/remote.ts";
import type { ObjectStore, StoredObject } from "../../../ports/objects.ts";
import { missing, tooLarge } from "./errors.ts";
import { type FoundFiles, fixedPart, isPattern, noTables, publicName, tableFile, tablesAmong } from "./names.ts";

/** Objects that are fetched at a time. */
const AT_ONCE = 4;
/** A table of more bytes is for a machine beside the bucket. */
const BYTES_MAX = 200_000_000_000;
/** Room that is left to others on the disk. */
const FREE_BYTES_MIN = 1_000_000_000;

/** Fetches what is asked for, and remembers it until it is closed: planning, reading and hashing are three looks at one content. */
export class RemoteFiles {
  private readonly open: (place: string) => Promise<ObjectStore>;
  private folder: string | null = null;
  /** Where an object came from and which content it had → its file. */
  private readonly files = new Map<string, Promise<string>>();

  constructor(open: (place: string) => Promise<ObjectStore>) {
    this.open = open;
  }

  /** As of a folder: `s3://bucket/prefix` is an object of that name or all tables below it; `*` and `?` make a pattern. */
  async filesIn(place: string): Promise<FoundFiles> {
    const { bucket, prefix } = bucketPlace(place);
    if (isPattern(prefix)) {
      const root = fixedPart(`/${prefix}`).slice(1);
      return await this.below(place, { bucket, root, pattern: prefix.slice(root === "" ? 0 : root.length + 1) });
    }
    const cut = prefix.lastIndexOf("/");
    const name = prefix.slice(cut + 1);
    const parent = await this.open(`s3://${bucket}/${cut < 0 ? "" : prefix.slice(0, cut)}`);
    const [object] = name === "" ? [] : (await parent.list(name)).filter(({ key }) => key === name);
    if (object === undefined) return await this.below(place, { bucket, root: prefix, pattern: null });
    const [file] = await this.fetched(parent, [object]);
    return { files: [tableFile(file, name, `${parent.where}/${name}`)], below: false };
  }

  /** Removes what was fetched. */
  close(): void {
    if (this.folder !== null) rmSync(this.folder, { recursive: true, force: true });
    this.folder = null;
    this.files.clear();
  }

  private async below(
    place: string,
    { bucket, root, pattern }: { readonly bucket: string; readonly root: string; readonly pattern: string | null },
  ): Promise<FoundFiles> {
    const store = await this.open(`s3://${bucket}/${root}`);
    const objects = new Map((await store.list("")).map((object) => [object.key, object]));
    if (objects.size === 0 && pattern === null) throw missing(place, store.where);
    const names = tablesAmong([...objects.keys()], { pattern, root });
    if (names.length === 0) throw noTables(place, store.where);
    const wanted = names.map((name) => objects.get(name)!);
    const files = await this.fetched(store, wanted);
    const at = store.where.replace(/\/$/, "");
    return { files: names.map((name, i) => tableFile(files[i], name, `${at}/${publicName(name)}`)), below: true };
  }

  private async fetched(store: ObjectStore, objects: readonly StoredObject[]): Promise<readonly string[]> {
    const keyOf = ({ key, version }: StoredObject): string => `${store.where}\n${key}\n${version}`;
    const missed = objects.filter((object) => !this.files.has(keyOf(object)));
    const bytes = missed.reduce((sum, object) => sum + object.bytes, 0);
    this.folder ??= mkdtempSync(path.join(tmpdir(), "sentinel-s3-"));
    const { bavail, bsize } = statfsSync(this.folder);
    if (bytes > BYTES_MAX) throw tooLarge(store.where, `has ${bytes} bytes to fetch, the limit is ${BYTES_MAX}`);
    if (bytes > bavail * bsize - FREE_BYTES_MIN) {
      throw tooLarge(
        store.where,
        `has ${bytes} bytes to fetch, and ${this.folder} has room for less (TMPDIR names another place)`,
      );
    }
    const files: string[] = [];
    for (let i = 0; i < objects.length; i += AT_ONCE) {
      const some = objects.slice(i, i + AT_ONCE).map((object) => {
        const known = this.files.get(keyOf(object));
        if (known !== undefined) return known;
        const fetching = this.fetch(store, object);
        this.files.set(keyOf(object), fetching);
        fetching.catch(() => this.files.delete(keyOf(object)));
        return fetching;
      });
      files.push(...(await Promise.all(some)));
    }
    return files;
  }

  /** Below folders of the same names, which may be columns; under the name that others see. */
  private async fetch(store: ObjectStore, { key }: StoredObject): Promise<string> {
    const own = mkdtempSync(path.join(this.folder!, "object-"));
    const target = path.join(own, publicName(key));
    mkdirSync(path.dirname(target), { recursive: true });
    await rename(await store.file(key, own), target);
    return target;
  }
}

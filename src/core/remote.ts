// Places that are no path of this machine: s3://bucket/prefix.
import { SentinelError } from "./errors.ts";

/** A bucket, and what the names of its objects begin with: "" or a text without a slash at either end. */
export interface BucketPlace {
  readonly bucket: string;
  readonly prefix: string;
}

const SCHEME = "s3://";
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and the upper case and underscores of other stores. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;

/** Whether a place is a bucket's and no path. */
export function isRemote(place: string): boolean {
  return place.startsWith(SCHEME);
}

/** Errors: config.invalid. */
export function bucketPlace(place: string): BucketPlace {
  const [bucket, ...rest] = place.slice(SCHEME.length).split("/");
  const wrong = (what: string): SentinelError =>
    new SentinelError("config.invalid", `${JSON.stringify(place)} ${what}`, {
      hint: "write it as s3://bucket/prefix; keys come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
    });
  if (!isRemote(place) || !BUCKET.test(bucket)) throw wrong("names no bucket");
  const prefix = rest.join("/").replace(/^\/+|\/+$/g, "");
  if (prefix.split("/").some((part) => part === "." || part === "..")) throw wrong("has . or .. in its prefix");
  return { bucket, prefix };
}

/** A place below another, of either kind. */
export function placeBelow(place: string, name: string): string {
  return `${place.replace(/\/+$/, "")}/${name}`;
}

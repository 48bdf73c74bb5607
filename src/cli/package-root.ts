// The folder this package is installed in, from source and from dist alike.
import { fileURLToPath } from "node:url";

export function packageRoot(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../.." : "../../..", import.meta.url));
}
